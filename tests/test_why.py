"""The commands of ``python -m profilers``: from the words typed to the document on stdout."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.machine import locks
from benchmarks.request.selection import Selection
from benchmarks.results.profiles import Change, Experiment
from benchmarks.results.records import Exit, Stack
from benchmarks.why.__main__ import main
from benchmarks.why._shared import confirmations, documents, experiments, profiling, subjects
from benchmarks.why._shared.profiling import Profile
from profilers.ops import explain
from profilers.ops.account import Account, merge
from profilers.ops.rows import Row
from tests.pipeline import BARE, MODELS, ROOT

TINY = ("tiny", "train_step", "--models-dir", str(MODELS), "--stacks", "null-a,null-b")


def ops(out: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    """What ``profilers ops --json`` prints of the null adapter."""
    code = main(["ops", *TINY, "--out", str(out), "--json", *more])
    assert code == Exit.OK
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_the_document_holds_rows_that_add_up_and_an_explanation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINBENCH_NULL", json.dumps({"slow": 3.0}))
    told = ops(tmp_path, capsys, "--steps", "4")
    assert (told["model"], told["phase"]) == ("tiny", "train_step")
    assert {row["stack"] for row in told["rows"]} == {"null-a", "null-b"}
    assert set(told["rows"][0]) == {
        "stack", "op", "category", "phase", "layer", "calls", "self_s", "device_s", "flops",
    }  # fmt: skip
    for stack in told["stacks"]:
        rows = [r for r in told["rows"] if r["stack"] == stack["stack"]]
        total = sum(r["self_s"] for r in rows) + stack["overhead_s"]
        assert total == pytest.approx(stack["wall_s"])
        assert (stack["steps"], stack["recordings"]) == (20, 5)
        assert stack["implementations"] == [
            {"family": "conv", "phase": "forward", "name": None, "ops": ["conv"]}
        ]
    (pair,) = told["explained"]
    assert (pair["a"], pair["b"]) == ("null-a", "null-b")  # the faster one first
    shares = {line["key"]: line["share"] for line in pair["categories"]}
    assert shares["forward · conv"] == pytest.approx(0.5, abs=0.05)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert pair["categories"][-1]["cumulative"] == pytest.approx(1.0)
    assert pair["sentences"][0]["text"].startswith("50 % of the gap is conv in the forward pass")
    stored = tmp_path / "profiles" / "tiny.train_step.b4.float32.cpu" / "ops.json"
    assert json.loads(stored.read_text()) == told


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("ops", "tiny"), "the following arguments are required: PHASE"),
        (("ops", "no_such", "forward"), "unknown model 'no_such'"),
        (("ops", "tiny", "sideways", *TINY[2:]), "unknown phase 'sideways'"),
        (("dance", "tiny", "forward"), "invalid choice: 'dance'"),
        (("ops", *TINY, "--steps", "0"), "--steps is 0; it must be at least 1"),
    ],
)
def test_bad_words_get_one_line(
    words: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == Exit.USAGE
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def test_what_kernel_ran_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", *TINY, "--out", str(tmp_path)]) == Exit.OK
    assert capsys.readouterr().err.count("  conv, forward: not recognised (conv)\n") == 2


def test_a_worker_that_dies_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINBENCH_NULL", json.dumps({"fault": "segv", "at": "train_step"}))
    assert main(["ops", *TINY, "--out", str(tmp_path)]) == Exit.INCOMPLETE
    assert "the worker died of SIGSEGV" in capsys.readouterr().err


def test_a_stack_that_cannot_be_profiled_costs_itself_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINBENCH_NULL", json.dumps({"fault": "segv", "at": "train_step"}))
    assert main(["ops", *TINY, "--out", str(tmp_path), "--json"]) == Exit.INCOMPLETE
    told = json.loads(capsys.readouterr().out)
    assert {row["stack"] for row in told["rows"]} == {"null-a"}
    assert list(told["failed"]) == ["null-b"]
    assert "SIGSEGV" in told["failed"]["null-b"]


def profile(name: str, of: Account, timed_s: float) -> Profile:
    """A stack as it was profiled, and as it was timed without."""
    return Profile(stack=Stack.parse(name), account=of, timed_s=timed_s)


def test_where_the_profiler_turns_the_order_round_nothing_is_explained() -> None:
    asked = Selection(
        models=("tiny",), phases=("train_step",), stacks=("null-a", "null-b"), models_dir=MODELS
    )
    subject = subjects.subject(asked)
    fast, slow = account(0.010, conv=0.005), account(0.020, conv=0.015)
    (as_timed,) = documents.of(subject, [profile("null-b", slow, 0.018),
                                         profile("null-a", fast, 0.009)], {}).explained  # fmt: skip
    assert (as_timed.a, as_timed.b, as_timed.doubt) == ("null-a", "null-b", None)
    assert len(as_timed.sentences) == 1
    (turned,) = documents.of(subject, [profile("null-a", fast, 0.009),
                                       profile("null-b", slow, 0.008)], {}).explained  # fmt: skip
    assert turned.sentences == ()
    assert "null-b 8.00 ms, null-a 9.00 ms" in str(turned.doubt)


def test_a_gpu_that_shows_none_of_its_work_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are the host's then, and no account of the device."""
    plain = subjects.subject

    def on_a_gpu(chosen: Any) -> subjects.Subject:
        made = plain(chosen)
        return replace(made, matchup=replace(made.matchup, device="cuda"))

    assert "CUPTI" not in str(ops(tmp_path, capsys)["stacks"])
    monkeypatch.setattr("benchmarks.why.__main__.subject", on_a_gpu)
    notes = [stack["notes"] for stack in ops(tmp_path, capsys)["stacks"]]
    assert [profiling.BLIND in told for told in notes] == [True, True]


def test_a_device_in_use_is_not_disturbed(tmp_path: Path) -> None:
    with locks.DeviceLock("cpu"):
        assert main(["ops", *TINY, "--out", str(tmp_path)]) == Exit.LOCKED


def test_the_door_is_in_profilers() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "profilers", "ops", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "MODEL PHASE" in done.stdout
    assert "--confirm" in done.stdout


@pytest.mark.parametrize(
    ("slow", "key", "stack"),
    [
        ("torch-eager", "forward · pool", "torch-eager@channels_last"),
        ("torch-eager", "framework overhead", "torch-compile"),
        ("torch-compile", "backward · conv", "torch-compile@channels_last"),
        ("tensorflow-graph", "framework overhead", "tensorflow-xla"),
        ("tensorflow-graph", "backward · conv", "tensorflow-xla"),
        ("tensorflow-graph", "forward · recurrent", "tensorflow-xla"),
        ("tensorflow-xla", "backward · pool", "tensorflow-graph"),
        ("torch-eager", "forward · recurrent", "torch-eager@one_thread"),
        ("keras_torch-eager", "framework overhead", "keras_torch-compile"),
    ],
)
def test_an_explanation_names_its_experiment(slow: str, key: str, stack: str) -> None:
    found = experiments.experiment(Stack.parse(slow), key, images=True, device="cpu")
    assert found is not None
    assert found.stack == stack
    assert bool(found.variant) == ("@" in stack)


def test_what_nobody_knows_a_remedy_for_has_none() -> None:
    stack = Stack.parse("jax-xla")
    assert experiments.experiment(stack, "forward · conv", images=True, device="cpu") is None


def test_no_experiment_is_proposed_that_changes_nothing() -> None:
    """A layout of images where there are none, and the host's threads where a GPU multiplies."""

    def told(key: str, *, images: bool, device: str) -> str | None:
        found = experiments.experiment(
            Stack.parse("torch-eager"), key, images=images, device=device
        )
        return found.stack if found else None

    assert told("forward · norm", images=True, device="cpu") == "torch-eager@channels_last"
    assert told("forward · norm", images=False, device="cpu") is None
    assert told("forward · elementwise", images=False, device="cpu") == "torch-compile"
    assert told("forward · matmul", images=False, device="cpu") == "torch-eager@one_thread"
    assert told("forward · matmul", images=False, device="cuda") is None


def account(wall_s: float, **rows: float) -> Account:
    """An account with one row per category, in the forward pass."""
    return Account(
        rows=tuple(
            Row(op=name, category=name, phase="forward", layer=f"{name}1", calls=1.0,
                self_s=spent, device_s=None)
            for name, spent in rows.items()
        ),
        steps=1, wall_s=wall_s, median_s=wall_s, busy_s=sum(rows.values()),
        overhead_s=wall_s - sum(rows.values()), on_device=False, launches=None,
    )  # fmt: skip


def test_the_lines_add_up_to_the_gap_and_the_largest_comes_first() -> None:
    fast = account(0.010, pool=0.001, conv=0.006)
    slow = account(0.015, pool=0.005, conv=0.0065)
    lines = explain.by_category(fast, slow)
    assert [line.key for line in lines] == [
        "forward · pool",
        "forward · conv",
        "framework overhead",
    ]
    assert [line.share for line in lines] == [pytest.approx(s) for s in (0.8, 0.1, 0.1)]
    assert lines[0].layers == ("pool1",)
    (why,) = explain.reasons(lines)
    assert explain.sentence(why, "fast", "slow") == (
        "80 % of the gap is pool in the forward pass (pool1): slow 5.00 ms, fast 1.00 ms."
    )


def test_a_layer_that_one_side_does_not_have_counts_towards_the_one_it_is_named_after() -> None:
    def layers(**times_s: float) -> Account:
        plain = account(0.010, **dict.fromkeys("abcdefg"[: len(times_s)], 0.0))
        rows = zip(plain.rows, times_s.items(), strict=True)
        named = (replace(row, layer=name, self_s=spent) for row, (name, spent) in rows)
        return replace(plain, rows=(*named, replace(plain.rows[0], layer=None, self_s=0.5)))

    torch = layers(**{"conv1": 1.0, "block.0": 2.0, "block.0.conv": 3.0, "block.0.relu": 4.0})
    keras = layers(**{"conv1_pad": 10.0, "conv1": 20.0, "block.0.add": 30.0, "block.0.conv": 40.0,
                      "stem_pad": 50.0})  # fmt: skip
    lines = {line.key.removeprefix("forward · "): line for line in explain.by_layer(torch, keras)}
    assert {key: (line.a_s, line.b_s) for key, line in lines.items()} == {
        "conv1": (1.0, 30.0),
        "block.0": (2.0, 30.0),
        "block.0.conv": (3.0, 40.0),
        "block.0.relu": (4.0, 0.0),  # not block.0, which the other does not have
        "stem_pad": (0.0, 50.0),
        "no layer": (0.5, 0.5),
        "framework overhead": (pytest.approx(0.010), pytest.approx(0.010)),
    }
    assert lines["conv1"].layers == ("conv1", "conv1_pad")


def test_what_is_not_there_in_every_recording_is_no_reason() -> None:
    fast = [account(0.010, pool=0.001, conv=0.006), account(0.010, pool=0.001, conv=0.003)]
    slow = [account(0.015, pool=0.005, conv=0.005), account(0.015, pool=0.006, conv=0.006)]
    pairs = list(zip(fast, slow, strict=True))
    lines = explain.by_category(merge(fast), merge(slow), pairs)
    found = {line.key: line for line in lines}
    pool, conv = found["forward · pool"], found["forward · conv"]
    assert (pool.steady, conv.steady) == (True, False)
    assert pool.range_s == pytest.approx((0.004, 0.005))
    assert conv.range_s == pytest.approx((-0.001, 0.003))
    (why,) = explain.reasons(lines)
    assert explain.sentence(why, "fast", "slow") == (
        "90 % of the gap is pool in the forward pass (pool1): slow 5.50 ms, fast 1.00 ms"
        " (4.00 to 5.00 ms more, by recording)."
    )


def test_recordings_that_disagree_explain_nothing() -> None:
    subject = subjects.subject(
        Selection(
            models=("tiny",), phases=("forward",), stacks=("null-a", "null-b"), models_dir=MODELS
        )
    )

    def doubt(*walls_s: tuple[float, float]) -> str | None:
        sides = [
            Profile(
                stack=Stack.parse(name),
                account=merge([account(w) for w in walls]),
                timed_s=0.01 * (1 + index),
                recordings=tuple(account(w) for w in walls),
            )
            for index, (name, walls) in enumerate(
                zip(("null-a", "null-b"), zip(*walls_s, strict=True), strict=True)
            )
        ]
        (pair,) = documents.of(subject, sides, {}).explained
        return pair.doubt

    assert doubt((0.010, 0.012), (0.010, 0.013)) is None
    assert doubt((0.010, 0.014), (0.010, 0.009)) == (
        "In 1 of 2 recordings it is the other way round: no gap to explain."
    )


def test_more_than_the_whole_gap_is_said_so() -> None:
    lines = explain.by_category(account(0.010, pool=0.001), account(0.011, pool=0.005))
    assert explain.sentence(explain.reasons(lines)[0], "fast", "slow") == (
        "More than the whole gap is pool in the forward pass (pool1): slow 5.00 ms, fast 1.00 ms."
        " Other parts make up for some of it."
    )


def test_no_gap_has_no_reasons() -> None:
    same = account(0.010, pool=0.001)
    lines = explain.by_category(same, same)
    assert all(line.share is None for line in lines)
    assert explain.reasons(lines) == []


def test_the_experiment_is_timed_and_its_verdict_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slowed stack is three times as fast on one thread, as fast as the other stack."""
    monkeypatch.setenv("TWINBENCH_NULL", json.dumps({"slow": 3.0, "alone": 1 / 3}))
    monkeypatch.setattr(confirmations, "MEANS", BARE)  # the machine may be as busy as it likes
    trial = Experiment(
        stack="null-b@one_thread",
        text="null-b on one thread",
        variant=Change(label="one_thread", threads=1),
    )
    monkeypatch.setattr(experiments, "_found", lambda *_, **_more: trial)
    told = ops(tmp_path, capsys, "--confirm")
    (tried,) = told["confirmed"]
    assert (tried["verdict"], tried["launches"]) == ("faster", confirmations.LAUNCHES)
    assert tried["ratio"] == pytest.approx(3.0, rel=0.4)
    assert tried["closes"] == pytest.approx(1.0, abs=0.4)
    assert "confirmed: null-b on one thread is " in tried["text"]
