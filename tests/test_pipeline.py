"""A run from the command line to its last file, on workers that compute nothing."""

import json
import re
import sys
import venv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest

from benchmarks.__main__ import main
from benchmarks.machine import environment
from benchmarks.measure import session
from benchmarks.request import discovery
from benchmarks.request.selection import EFFORTS
from benchmarks.results.records import Launch
from benchmarks.worker.process import WorkerProcess
from tests.pipeline import OURS, REAL, SHORT, TINY, Outcome, Pipeline

QUICK = SHORT["quick"]
WITH_TORCH_TWIN = (
    '"""As tiny, with a second twin."""\n\nfrom tests.models.tiny import TASK as TASK\n'
)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """One run that several tests look at: every phase, with its report."""
    with pytest.MonkeyPatch.context() as patch:
        pipeline = Pipeline(patch, tmp_path_factory.mktemp("healthy"))
        yield pipeline.wanting(report=REAL.report).run()


def _rounds(launches: tuple[Launch, ...]) -> list[int]:
    return [len(launch.samples_s) for launch in launches]


def test_a_healthy_run_is_complete(healthy: Outcome) -> None:
    assert healthy.code == healthy.run.exit == 0
    cases = [case for result in healthy.run.matchups for case in result.cases]
    assert {case.status for case in cases} == {"ok"}
    assert {case.reason for case in cases} == {None}
    assert healthy.run.effort == "quick"
    assert healthy.run.seconds > 0
    assert healthy.run.environment.fingerprint
    assert healthy.run.environment.fairness


def test_every_launch_has_its_rounds_and_samples_pair_up(healthy: Outcome) -> None:
    for phase in ("forward", "backward", "train_step", "dataload"):
        for case in healthy.matchup(phase).cases:
            assert [launch.index for launch in case.launches] == list(range(QUICK.launches))
            assert _rounds(case.launches) == [QUICK.rounds] * QUICK.launches
    for case in healthy.matchup("epoch").cases:
        assert _rounds(case.launches) == [QUICK.epoch_rounds] * QUICK.launches
        assert [known.train_samples for known in case.learned] == [1436] * QUICK.launches


def test_short_turns_make_more_rounds(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.inside()
    longer = replace(QUICK, turns_s=8 * QUICK.turn_s)
    monkeypatch.setitem(EFFORTS, "quick", longer)
    done = pipeline.run("--phases", "forward,epoch")
    for case in done.matchup("forward").cases:
        assert all(QUICK.rounds < rounds <= 8 for rounds in _rounds(case.launches))
    for case in done.matchup("epoch").cases:
        assert _rounds(case.launches) == [QUICK.epoch_rounds] * QUICK.launches


def test_a_sample_is_the_time_of_one_iteration(healthy: Outcome) -> None:
    # Sleeps last at least as long as they say, on a busy machine longer; a turn is five of them.
    delays = {"forward": 1, "backward": 4, "train_step": 3, "dataload": 1, "epoch": 10}
    for phase, count in delays.items():
        for case in healthy.matchup(phase).cases:
            assert median(case.samples_s) < 4 * 0.002 * count, (phase, case.stack)
            if phase != "backward":  # a difference of two timings may come out a little short
                assert min(case.samples_s) >= 0.002 * count


def test_cold_starts_are_split_and_measured_once(healthy: Outcome) -> None:
    for case in healthy.matchup("cold_start").cases:
        (start,) = case.cold_starts
        assert (start.launch, start.cache) == (0, "empty")
        assert min(start.import_s, start.build_s) > 0
        assert start.first_step_s >= 0.006
        assert case.samples_s == (start.total_s,)


def test_twins_of_one_adapter_are_compared_though_only_partly_proven(healthy: Outcome) -> None:
    result = healthy.matchup("forward")
    assert result.parity is not None
    assert (result.parity.status, result.parity.adapters) == ("partial", ("null",))
    assert {(check.stack, check.ok) for check in result.parity.timed} == {
        ("null-a", True),
        ("null-b", True),
    }
    (verdict,) = result.verdicts
    assert (verdict.a, verdict.b, verdict.launches) == ("null-a", "null-b", QUICK.launches)
    assert verdict.ratio == pytest.approx(1.0, rel=0.6)  # beside whatever else runs


def test_case_ids_key_the_history_and_must_never_change(healthy: Outcome) -> None:
    assert [case.id for result in healthy.run.matchups for case in result.cases] == [
        "tiny.forward.b4.float32.cpu.null-a",
        "tiny.forward.b4.float32.cpu.null-b",
        "tiny.backward.b4.float32.cpu.null-a",
        "tiny.backward.b4.float32.cpu.null-b",
        "tiny.train_step.b4.float32.cpu.null-a",
        "tiny.train_step.b4.float32.cpu.null-b",
        "tiny.dataload.b4.digits.float32.cpu.null-a",
        "tiny.dataload.b4.digits.float32.cpu.null-b",
        "tiny.epoch.b4.digits.float32.cpu.null-a",
        "tiny.epoch.b4.digits.float32.cpu.null-b",
        "tiny.cold_start.b4.float32.cpu.null-a",
        "tiny.cold_start.b4.float32.cpu.null-b",
    ]


def test_the_journal_holds_everything_in_order(healthy: Outcome) -> None:
    kinds = [entry["kind"] for entry in healthy.entries]
    assert kinds[:6] == ["run", *["calibrated"] * 3, "proving", "proof"]
    assert kinds[-2:] == ["concluded", "end"]
    turned = len(healthy.run.matchups) - 1  # cold starts are entries of their own
    assert kinds.count("timing") == kinds.count("launch") == turned * QUICK.launches
    assert kinds.count("starting") == QUICK.launches
    assert kinds.count("cold") == 2
    assert kinds.count("check") == 2 * 5  # output; loss and update, twice: of a step and of `fit`
    assert kinds.index("check") < kinds.index("launch")


def test_the_newest_run_and_its_report_are_where_readers_look(healthy: Outcome) -> None:
    assert healthy.folder.parent == healthy.out
    assert healthy.folder.name == healthy.run.run_id
    page = (healthy.folder / "report.html").read_text()
    assert healthy.run.run_id in page
    for name in ("report.md", "cases.csv", "cold_start.png"):
        assert (healthy.folder / name).stat().st_size > 0


def test_a_stack_that_is_slower_is_called_so(pipeline: Pipeline) -> None:
    pipeline.inside()
    done = pipeline.run("--phases", "forward", "--effort", "standard", slow=3.0)
    (verdict,) = done.matchup("forward").verdicts
    assert verdict.verdict == "faster"
    assert verdict.ratio is not None
    assert verdict.ratio == pytest.approx(3.0, rel=0.01)
    assert verdict.ci95 is not None
    assert 1.02 < verdict.ci95[0] < verdict.ratio < verdict.ci95[1]
    assert verdict.launches == SHORT["standard"].launches


class Turn(NamedTuple):
    """Who took a turn, in which process, and how many were at it."""

    stack: str
    pid: int
    together: int


@pytest.fixture(scope="module")
def turns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Turn]]:
    """Every turn of a run, as the parent asked for it."""
    taken: list[Turn] = []
    running = 0
    ask = WorkerProcess.ask

    def watched(worker: WorkerProcess, verb: str, **arguments: Any) -> dict[str, Any]:
        nonlocal running
        running += 1
        if verb == "turn":
            taken.append(Turn(str(worker.stack), worker.pid, running))
        answer = ask(worker, verb, **arguments)
        running -= 1
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkerProcess, "ask", watched)
        pipeline = Pipeline(patch, tmp_path_factory.mktemp("turns"))
        assert pipeline.run("--phases", "forward,train_step").code == 0
        yield taken


def test_turns_alternate_in_balanced_order_and_never_overlap(turns: list[Turn]) -> None:
    assert {turn.together for turn in turns} == {1}
    assert len(turns) == 2 * 2 * QUICK.rounds * QUICK.launches
    for start in range(0, len(turns), 4):
        first, second, third, fourth = (turn.stack for turn in turns[start : start + 4])
        assert {first, second} == {"null-a", "null-b"}
        assert (third, fourth) == (second, first)


def test_each_launch_has_one_fresh_worker_per_stack_for_all_its_phases(turns: list[Turn]) -> None:
    workers = [turn.pid for turn in turns]
    assert len({(turn.stack, turn.pid) for turn in turns}) == 2 * QUICK.launches
    half = len(turns) // 2
    assert not set(workers[:half]) & set(workers[half:])


def test_a_batch_of_ones_own_is_part_of_the_id(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.inside()
    done = pipeline.run("--phases", "forward", "--batch", "16", "--json")
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads((done.folder / "run.json").read_text())
    assert "proving" in shown.err
    (result,) = done.run.matchups
    assert result.matchup.id == "tiny.forward.b16.float32.cpu"
    assert {case.items_per_iteration for case in result.cases} == {16}
    assert {case.flops_per_iteration for case in result.cases} == {2.0 * 16 * 10 * 16}


def _without(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def status(requires: tuple[str, ...]) -> str | None:
        return f"{missing} is not installed" if missing in requires else None

    monkeypatch.setattr(discovery, "framework_status", status)


def _with_torch_twin(folder: Path) -> Path:
    (folder / "both").mkdir(parents=True)
    (folder / "both" / "__init__.py").write_text(WITH_TORCH_TWIN)
    (folder / "both" / "torch.py").write_text('"""Never built by torch here."""\n')
    built = "from tests.models.tiny.null import build as build\n"
    (folder / "both" / "null.py").write_text(built)
    return folder


def test_a_missing_framework_costs_its_own_cases_alone(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline.inside()
    _without("torch", monkeypatch)
    models = _with_torch_twin(tmp_path / "mine")
    selection = ("--models-dir", str(models), "--models", "both", "--phases", "forward")
    done = pipeline.call(*selection, "--stacks", "torch-eager,null-a")
    assert done.code == 0
    torch, null = done.case("forward", "torch-eager"), done.case("forward", "null-a")
    assert (torch.status, torch.reason) == ("unsupported", "torch is not installed")
    assert (null.status, len(null.samples_s)) == ("ok", QUICK.rounds * QUICK.launches)
    (verdict,) = done.matchup("forward").verdicts
    assert verdict.verdict == "not comparable"
    assert "torch is not installed" in (verdict.reason or "")


def test_nothing_that_could_run_is_a_code_of_its_own(
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _without("torch", monkeypatch)
    models = _with_torch_twin(tmp_path / "mine")
    selection = ("--models-dir", str(models), "--models", "both", "--phases", "forward")
    assert pipeline.call(*selection, "--stacks", "torch-eager").code == 5
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "twinbench: nothing can run here: torch is not installed"
    assert pipeline.groups == []


def test_a_finished_run_resumed_measures_nothing_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = pipeline.run("--phases", "forward")
    shown = capsys.readouterr()
    assert shown.out == ""  # data was not asked for, and text goes to stderr
    assert re.search("null-[ab] .*null-[ab]", shown.err)

    before, started = done.run, len(pipeline.groups)
    again = pipeline.call("--resume", *OURS)
    assert (again.code, len(pipeline.groups)) == (0, started)
    assert again.run.matchups == before.matchups
    assert again.run.run_id == before.run_id

    # On another machine its launches would not compare.
    here = environment.describe()
    monkeypatch.setattr(
        environment, "describe", lambda threads=None: replace(here, fingerprint=f"other{threads}")
    )
    assert main(["run", "--resume", "--out", str(pipeline.out)]) == 2
    assert "made on another machine" in capsys.readouterr().err


SWEEP = ("--phases", "forward", "--batch", "2,8", "--size", "quick,wide")


def test_a_sweep_is_one_run_of_every_size_and_batch(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.inside()
    done = pipeline.run(*SWEEP)
    assert done.code == 0
    names = ["tiny.quick.b2", "tiny.quick.b8", "tiny.wide.b2", "tiny.wide.b8"]
    assert [e["model"] for e in done.entries if e["kind"] == "proof"] == names
    assert {(r.matchup.batch, r.matchup.variant) for r in done.run.matchups} == {
        (batch, variant) for batch in (2, 8) for variant in ("", "32")
    }
    for result in done.run.matchups:
        assert result.parity
        assert [(case.status, len(case.launches)) for case in result.cases] == [("ok", 2)] * 2
        assert all(case.settings for case in result.cases)
    shown = capsys.readouterr().err
    assert "8 cases in 4 matchups of 1 model, 2 launches each" in shown
    assert "tiny.wide.b8: launch 2/2, forward" in shown


def test_a_stack_that_is_refused_at_each_batch_is_started_once_of_each(pipeline: Pipeline) -> None:
    pipeline.inside()
    done = pipeline.run(*SWEEP, fault="wrong")
    assert done.code == 4
    bad = [c.status for r in done.run.matchups for c in r.cases if c.stack == "null-b"]
    assert bad == ["parity_failed"] * 4
    started = [
        e["model"] for e in done.entries if e["kind"] == "settings" and e["stack"] == "null-b"
    ]
    assert started == ["tiny.quick.b2", "tiny.quick.b8", "tiny.wide.b2", "tiny.wide.b8"]


def test_a_sweep_that_was_cut_off_is_resumed_where_it_was(pipeline: Pipeline) -> None:
    pipeline.inside()
    done = pipeline.run(*SWEEP)
    path = done.folder / session.JOURNAL
    lines = path.read_text().splitlines(keepends=True)
    launches = [i for i, line in enumerate(lines) if line.startswith('{"kind":"launch"')]
    path.write_text("".join(lines[: launches[2] + 1]))
    again = pipeline.call("--resume", *OURS)
    assert again.code == 0
    made = [(e["matchup"], e["launch"]) for e in again.entries if e["kind"] == "launch"]
    assert (len(made), len(set(made))) == (8, 8)


def test_the_stored_command_makes_the_same_selection_again(healthy: Outcome) -> None:
    assert healthy.run.command[:4] == ("python", "-m", "benchmarks", "run")
    stored = dict(zip(healthy.run.command[4::2], healthy.run.command[5::2], strict=True))
    asked = dict(zip(TINY[::2], TINY[1::2], strict=True))
    assert stored == asked | {"--models-dir": "MODELS_DIR"}


def test_a_stack_that_compiles_while_it_is_timed_is_named(pipeline: Pipeline) -> None:
    pipeline.inside()
    done = pipeline.run("--phases", "forward", retraces=True)
    assert all(launch.retraced for launch in done.case("forward", "null-b").launches)
    assert [launch.retraced for launch in done.case("forward", "null-a").launches] == [None, None]
    (verdict,) = done.matchup("forward").verdicts
    assert "null-b traced or compiled" in str(verdict.reason)


def test_two_environments_are_compared_like_any_other_pair(pipeline: Pipeline) -> None:
    stacks = "null-a@one,null-a@two"
    models = TINY[: TINY.index("--stacks")]
    pythons = [f"--python={name}={sys.executable}" for name in ("one", "two")]
    done = pipeline.call(*models, "--stacks", stacks, "--phases", "forward", *pythons)
    assert done.code == 0
    (result,) = done.run.matchups
    assert [case.stack for case in result.cases] == stacks.split(",")
    assert result.parity is not None
    assert (result.parity.status, result.parity.adapters) == ("proven", ("null@one", "null@two"))
    (verdict,) = result.verdicts
    assert verdict.ratio == pytest.approx(1.0, abs=0.3)
    assert done.run.command[-4:] == (
        "--python",
        "one=PYTHON",
        "--python",
        "two=PYTHON",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--python", "one"), "NAME=INTERPRETER"),
        (("--python", "one=/nowhere/python", "--stacks", "null-a@one"), "is no interpreter"),
        (("--python", f"one={sys.executable}", "--stacks", "null-a"), "no stack uses 'one'"),
        (("--python", f"one={sys.executable}"), "needs --stacks"),
        (("--stacks", "null-a@one"), "nothing says what 'one' is"),
        (("--policy", "fast"), "unknown policy 'fast'"),
        (("--launches", "0"), "launches is 0"),
    ],
)
def test_a_variant_that_cannot_be_is_said_in_a_line(
    arguments: tuple[str, ...], said: str, pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    models = TINY[: TINY.index("--stacks")]
    assert pipeline.call(*models, *arguments).code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_an_environment_that_lacks_the_framework_costs_its_own_cases(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    python = tmp_path / "bare" / "bin" / "python"
    venv.create(python.parent.parent, with_pip=False)
    models = TINY[: TINY.index("--stacks")]
    stacks = ("--stacks", "null-a,null-a@bare", "--python", f"bare={python}")
    done = pipeline.call(*models, *stacks, "--phases", "forward")
    assert done.case("forward", "null-a").status == "ok"
    bare = done.case("forward", "null-a@bare")
    assert bare.status == "unsupported"
    assert str(bare.reason).startswith("not installed there: ")


def test_a_policy_is_part_of_what_is_compared(pipeline: Pipeline) -> None:
    done = pipeline.run("--phases", "forward", "--policy", "best")
    (result,) = done.run.matchups
    assert result.matchup.policy == "best"
    assert result.matchup.id.endswith(".cpu.best")
    assert done.run.command[-2:] == ("--policy", "best")
