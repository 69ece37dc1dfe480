"""The largest batch: the search on workers that are made up, and the command on real ones."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.request import discovery
from benchmarks.results.records import Failure, Stack
from benchmarks.why import batch
from benchmarks.why.__main__ import main
from benchmarks.why._shared import subjects
from benchmarks.why._shared.largest import FINE, search
from benchmarks.worker.process import WorkerError
from profilers import host
from tests.pipeline import MODELS, Pipeline

Capture = pytest.CaptureFixture[str]


class Fits:
    """Fits as a rule says, and remembers what was tried."""

    def __init__(self, rule: Any) -> None:
        self.rule, self.tried = rule, list[int]()

    def __call__(self, batch: int) -> bool:
        assert batch >= 1
        assert batch not in self.tried, "a batch is tried once"
        self.tried.append(batch)
        return bool(self.rule(batch))


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_search_ends_close_to_the_limit(limit: int, start: int) -> None:
    fits = Fits(lambda n: n <= limit)
    found = search(fits, start)
    assert found is not None
    assert found <= limit <= found + max(1, found // FINE)
    assert len(fits.tried) < 2 * 20 + 8


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_nothing_beyond_the_most_is_tried(limit: int, start: int, most: int) -> None:
    fits = Fits(lambda n: n <= limit)
    found = search(fits, start, most)
    assert max(fits.tried) <= most
    if limit >= most:
        assert found == most


@given(st.sets(st.integers(1, 3000)), st.integers(1, 3000))
def test_where_larger_ones_fit_again_the_answer_still_fits_and_its_neighbour_does_not(
    fitting: set[int], start: int
) -> None:
    fits = Fits(fitting.__contains__)
    found = search(fits, start)
    if found is None:
        assert 1 in fits.tried
        assert not fitting & set(fits.tried)
    else:
        assert found in fitting
        assert found in fits.tried
        beyond = [n for n in fits.tried if found < n <= found + max(1, found // FINE)]
        assert any(n not in fitting for n in beyond)


def test_where_nothing_fits_the_search_ends() -> None:
    fits = Fits(lambda _: False)
    assert search(fits, 37) is None
    assert fits.tried == [37, 18, 9, 4, 2, 1]


def _batch(pipeline: Pipeline, *arguments: str) -> int:
    place = ("--models-dir", str(MODELS), "--out", str(pipeline.out))
    return main(["batch", "tiny", "train_step", *place, "--stacks", "null-b", *arguments])


def test_every_try_is_reported_and_the_last_that_fits_is_the_answer(
    pipeline: Pipeline, capsys: Capture
) -> None:
    assert _batch(pipeline, "--most", "13", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    (found,) = document["stacks"]
    assert found["largest"] == 13
    assert found["reason"] == "no larger one was tried (--most 13)"
    assert [t["batch"] for t in found["tries"]] == [4, 8, 13]
    for done in found["tries"]:
        assert done["fits"]
        assert done["peak_rss_bytes"] > 2**20
        assert done["allocator_peak_bytes"] is None
        assert 0.006 <= done["step_s"] < 0.2
    free = host.available_bytes().value
    assert free
    assert document["limit_bytes"] == pytest.approx(free / 2, rel=0.3)


def test_a_worker_over_its_limit_is_an_answer(pipeline: Pipeline, capsys: Capture) -> None:
    assert _batch(pipeline, "--limit-bytes", str(5 * 2**20)) == 3
    shown = capsys.readouterr()
    assert shown.out == "null-b: none (1: it held more than 5 MiB)\n"


@pytest.mark.parametrize(
    ("fault", "status"), [("memory", "oom_host"), ("error", "error"), ("segv", "crash")]
)
def test_whatever_ends_a_worker_is_an_answer(
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    fault: str,
    status: str,
) -> None:
    monkeypatch.setenv("TWINBENCH_NULL", json.dumps({"fault": fault, "at": "train_step"}))
    assert _batch(pipeline, "--json") == 3
    (found,) = json.loads(capsys.readouterr().out)["stacks"]
    assert found["largest"] is None
    assert [t["batch"] for t in found["tries"]] == [1, 2, 4]
    assert {t["status"] for t in found["tries"]} == {status}


def test_memory_that_ends_somewhere_is_found(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    asked = subjects.ask

    def ask(worker: Any, subject: Any, verb: str, **arguments: Any) -> Any:
        if verb == "prepare" and subject.matchup.batch > 11:
            raise WorkerError("oom_device", "out of memory", Failure())
        if verb == "prepare":
            assert subject.group.size.batch == subject.matchup.batch
            assert asked(worker, subject, verb, **arguments)["items"] == subject.matchup.batch
            return {"warmup_s": [9.0, 0.1, 0.1, 0.1]}
        return asked(worker, subject, verb, **arguments) | {
            "memory": {"peak_rss_bytes": None, "device_peak_bytes": 7}
        }

    monkeypatch.setattr(batch, "ask", ask)
    monkeypatch.setattr(batch, "WARM_S", 0.001)
    assert _batch(pipeline, "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["stacks"]
    assert found["largest"] == 11
    assert found["reason"] == "12: out of memory"
    assert {t["allocator_peak_bytes"] for t in found["tries"] if t["fits"]} == {7}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--most", "0"], "--most is 0; it must be at least 1"),
        (["--limit-bytes", "-1"], "--limit-bytes is -1; it must be at least 1"),
    ],
)
def test_bad_input_is_one_line(
    pipeline: Pipeline, capsys: Capture, arguments: list[str], message: str
) -> None:
    assert _batch(pipeline, *arguments) == 2
    assert capsys.readouterr().err == f"twinbench: {message}\n"


def test_memory_is_told_by_stage_and_over_time(pipeline: Pipeline, capsys: Capture) -> None:
    place = ("--models-dir", str(MODELS), "--out", str(pipeline.out), "--stacks", "null-a,null-b")
    assert main(["memory", "tiny", "dataload", *place, "--json"]) == 0
    for held in json.loads(capsys.readouterr().out)["stacks"]:
        stages = [mark["stage"] for mark in held["stages"]]
        assert stages == ["build", "forward", "backward", "train_step", "dataload"]
        ends = [mark["ended_s"] for mark in held["stages"]]
        assert ends == sorted(ends)
        assert all(mark["peak_rss_bytes"] > 2**20 for mark in held["stages"])
        assert len(held["timeline"]) > 3
        assert held["timeline"][-1][0] <= ends[-1] + 5


def test_a_phase_that_fails_leaves_the_stages_before_it(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("TWINBENCH_NULL", json.dumps({"fault": "memory", "at": "backward"}))
    place = ("--models-dir", str(MODELS), "--out", str(pipeline.out), "--stacks", "null-b")
    assert main(["memory", "tiny", "forward", *place]) == 3
    text = " ".join(capsys.readouterr().err.split())
    assert "null-b │ build" in text
    assert "null-b │ forward" in text
    assert "oom_host" in text


def _of_a_framework(pipeline: Pipeline, capsys: Capture, stack: str, *words: str) -> Any:
    """What a search of the convolutional network found on a framework that is installed."""
    if why := discovery.unsupported(Stack.parse(stack), "cpu", None):
        pytest.skip(why)
    place = ("--out", str(pipeline.out), "--stacks", stack, "--json")
    main(["batch", "simple_cnn", "train_step", *place, *words])
    (found,) = json.loads(capsys.readouterr().out)["stacks"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("stack", ["torch-eager", "tensorflow-graph"])
def test_a_framework_is_ended_at_its_limit_and_not_by_the_machine(
    pipeline: Pipeline, capsys: Capture, stack: str
) -> None:
    """Its import alone takes more."""
    words = ("--batch", "1", "--limit-bytes", str(100 * 2**20))
    found = _of_a_framework(pipeline, capsys, stack, *words)
    assert found["largest"] is None
    (only,) = found["tries"]
    assert (only["fits"], only["reason"]) == (False, "it held more than 100 MiB")


@pytest.mark.slow
@pytest.mark.heavy
@pytest.mark.parametrize("stack", ["torch-eager", "tensorflow-graph"])
def test_the_largest_batch_of_a_framework_is_found_below_its_limit(
    pipeline: Pipeline, capsys: Capture, stack: str
) -> None:
    limit = 1400 * 2**20
    words = ("--batch", "2048", "--limit-bytes", str(limit))
    found = _of_a_framework(pipeline, capsys, stack, *words)
    assert found["largest"]
    refused = [t for t in found["tries"] if not t["fits"]]
    assert {t["reason"] for t in refused} == {"it held more than 1,400 MiB"}
    assert all(t["peak_rss_bytes"] <= limit for t in found["tries"] if t["fits"])
