"""The command for traces: workers that answer, one that cannot, and the file between them."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results.records import Failure, Stack
from benchmarks.why import trace
from benchmarks.why.__main__ import main
from benchmarks.why._shared import profiling
from benchmarks.worker.process import WorkerError
from profilers.gpu import gpu_state
from profilers.host import Reading
from profilers.ops.account import Account
from profilers.ops.rows import Event
from profilers.telemetry import SamplerError
from tests.pipeline import MODELS, Pipeline

Capture = pytest.CaptureFixture[str]


def _event(name: str, start_ns: int, duration_ns: int, step: int, thread: str = "main") -> Event:
    return Event(
        name=name,
        category="matmul",
        phase="forward",
        layer="dense",
        start_ns=start_ns,
        duration_ns=duration_ns,
        thread=thread,
        device=thread != "main",
        step=step,
    )


EVENTS = (
    _event("matmul", 0, 4000, 0),
    _event("gemm", 1000, 2000, 0),
    _event("matmul", 9000, 4000, 1),
    _event("kernel", 2500, 9000, 0, "stream 7"),
)


def _trace(pipeline: Pipeline, *arguments: str) -> int:
    place = ("--models-dir", str(MODELS), "--out", str(pipeline.out))
    return main(["trace", "tiny", "forward", *place, "--stacks", "null-a,null-b", *arguments])


def _answer(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
    """What the profile of a stack holds, by its mode."""

    def with_events(subject: Any, stack: Stack, *, steps: int) -> profiling.Profile:
        del subject
        assert steps == trace.STEPS
        answer = answers[stack.mode]
        if isinstance(answer, Exception):
            raise answer
        account = Account(
            rows=(),
            steps=2,
            wall_s=0.001,
            median_s=0.001,
            busy_s=0.0,
            overhead_s=0.001,
            on_device=False,
            launches=None,
        )
        return profiling.Profile(stack=stack, account=account, timed_s=0.001, **answer)

    monkeypatch.setattr(trace, "with_events", with_events)


def test_workers_that_record_make_a_trace(pipeline: Pipeline, capsys: Capture) -> None:
    assert _trace(pipeline, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    for stack in document["stacks"]:
        assert stack["steps"] == trace.STEPS
        assert stack["events"] >= trace.STEPS
        assert stack["wall_s"] > 0.001
    entries = json.loads(Path(document["file"]).read_text())["traceEvents"]
    begins = [e for e in entries if e["ph"] == "B"]
    assert len(begins) == sum(s["events"] for s in document["stacks"])
    assert min(e["ts"] for e in begins) == 0


def test_two_stacks_make_one_file(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    _answer(monkeypatch, a={"events": EVENTS}, b={"events": EVENTS[:1]})
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
    _answer(monkeypatch, a=crash, b={"events": EVENTS})
    assert _trace(pipeline) == 3
    shown = capsys.readouterr()
    assert Path(shown.out.strip()).is_file()
    assert "null-a: no trace: crash: the worker died of SIGSEGV" in shown.err
    assert "null-b: 4 events of 2 steps on 2 tracks" in shown.err


def test_no_events_are_a_reason_and_no_file(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    _answer(monkeypatch, a={"events": ()}, b={"events": (), "notes": ("no profiler here",)})
    assert _trace(pipeline, "--json") == 3
    document = json.loads(capsys.readouterr().out)
    assert document["file"] is None
    reasons = [s["reason"] for s in document["stacks"]]
    assert reasons == ["the profiler recorded no operation", "no profiler here"]
    assert not pipeline.out.exists()


def test_beside_a_gpu_its_counters_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[Any]()

    def refuse(*arguments: Any, **_more: Any) -> None:
        asked.append(arguments)
        raise SamplerError("enough seen")

    monkeypatch.setattr(profiling, "Telemetry", refuse)
    monkeypatch.setattr(gpu_state, "visible_uuid", lambda: Reading("GPU-1"))
    for device in ("cuda", "cpu"):
        with profiling._watching(7, device) as telemetry:
            assert telemetry is None
    assert asked == [(7, "GPU-1"), (7, None)]
