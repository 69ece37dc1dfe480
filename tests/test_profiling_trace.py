"""The command for traces: workers that answer, one that cannot, and the file between them."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.process import WorkerError
from benchmarks.profiling import trace
from benchmarks.profiling.__main__ import main
from benchmarks.records import Failure
from tests.pipeline import MODELS, Pipeline

Capture = pytest.CaptureFixture[str]
ROWS = [
    ["matmul", "matmul", "forward", "dense", 0, 4000, "main", False, 0],
    ["gemm", "matmul", "forward", "dense", 1000, 2000, "main", False, 0],
    ["matmul", "matmul", "forward", "dense", 9000, 4000, "main", False, 1],
    ["kernel", "matmul", "forward", None, 2500, 9000, "stream 7", True, 0],
]


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pipeline:
    return Pipeline(monkeypatch, tmp_path)


def _trace(pipeline: Pipeline, *arguments: str) -> int:
    place = ("--models-dir", str(MODELS), "--out", str(pipeline.out))
    return main(["trace", "tiny", "forward", *place, "--stacks", "null-a,null-b", *arguments])


def _answer(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
    """What a worker's verb ``ops`` answers, by the mode of its stack."""

    def ask(worker: Any, subject: Any, verb: str, **arguments: Any) -> Any:
        del subject
        assert (verb, arguments) == ("ops", {"events": True})
        answer = answers[worker.stack.mode]
        if isinstance(answer, Exception):
            raise answer
        return {"steps": 2, "wall_s": 0.001, "rows": []} | answer

    monkeypatch.setattr(trace, "ask", ask)


def test_two_stacks_make_one_file(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    _answer(monkeypatch, a={"events": ROWS}, b={"events": ROWS[:1]})
    assert _trace(pipeline, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    a, b = document["stacks"]
    assert (a["stack"], a["events"], a["tracks"], a["steps"]) == ("null-a", 4, 2, 2)
    assert (b["stack"], b["events"], b["tracks"], b["reason"]) == ("null-b", 1, 1, None)
    path = Path(document["file"])
    assert path == pipeline.out / "profiles" / "tiny.forward.b4.float32.cpu" / "trace.json"
    entries = json.loads(path.read_text())["traceEvents"]
    assert sum(e["ph"] == "B" for e in entries) == sum(e["ph"] == "E" for e in entries) == 5


def test_a_stack_that_fails_leaves_the_other_its_trace(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    crash = WorkerError("crash", "the worker died of SIGSEGV", Failure())
    _answer(monkeypatch, a=crash, b={"events": ROWS})
    assert _trace(pipeline) == 3
    shown = capsys.readouterr()
    assert Path(shown.out.strip()).is_file()
    assert "null-a: no trace: crash: the worker died of SIGSEGV" in shown.err
    assert "null-b: 4 events of 2 steps on 2 tracks" in shown.err


def test_no_events_are_a_reason_and_no_file(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    _answer(monkeypatch, a={"events": []}, b={"events": [], "reason": "no profiler here"})
    assert _trace(pipeline, "--json") == 3
    document = json.loads(capsys.readouterr().out)
    assert document["file"] is None
    reasons = [s["reason"] for s in document["stacks"]]
    assert reasons == ["the framework's profiler recorded no operation", "no profiler here"]
    assert not pipeline.out.exists()
