"""Memory, devices, clocks and answers that fail: each has a status, and costs its case alone."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.machine.environment import ROOT
from benchmarks.results.records import Stack
from benchmarks.worker import process
from benchmarks.worker.process import WorkerError, WorkerProcess
from profilers import host
from tests.eating import MIB
from tests.pipeline import Pipeline

TWO_PHASES = ("--phases", "forward,train_step", "--effort", "release")
ONCE = ("--phases", "forward", "--effort", "release")
STACK = Stack("null", "a")


@pytest.fixture
def pids(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], int]:
    """The process that served each stack in each phase, as the run goes on."""
    found: dict[tuple[str, str], int] = {}
    ask = WorkerProcess.ask

    def watched(worker: WorkerProcess, verb: str, **told: Any) -> dict[str, Any]:
        if verb in {"check", "prepare"}:
            found[str(worker.stack), told.get("phase") or f"check of {told['part']}"] = worker.pid
        return ask(worker, verb, **told)

    monkeypatch.setattr(WorkerProcess, "ask", watched)
    return found


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("oom_device", "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"),
        (
            "exhausted",
            "ResourceExhaustedError: OOM when allocating a tensor on /device:GPU:0 by GPU_0_bfc",
        ),
    ],
)
def test_a_device_without_memory_ends_its_worker_and_spares_the_other_framework(
    pipeline: Pipeline, pids: dict[tuple[str, str], int], fault: str, reason: str
) -> None:
    done = pipeline.run(*TWO_PHASES, fault=fault)
    assert done.code == 3
    full, other = done.case("forward", "null-b"), done.case("forward", "null-a")
    assert (full.status, full.reason, other.status) == ("oom_device", reason, "ok")
    (verdict,) = done.matchup("forward").verdicts
    assert (verdict.verdict, verdict.ratio) == ("not comparable", None)
    assert done.case("train_step", "null-b").status == "ok"
    assert pids["null-b", "train_step"] != pids["null-b", "check of inference"]
    assert pids["null-a", "train_step"] == pids["null-a", "check of inference"]


class InOrder(random.Random):
    """Draws nothing: phases and stacks come in the order of the plan."""

    def sample(self, population: Any, k: int, **_: Any) -> list[Any]:
        """The first ones."""
        return list(population)[:k]


def test_what_comes_after_an_error_that_sticks_to_its_process_is_measured_in_another(
    pipeline: Pipeline, pids: dict[tuple[str, str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "Random", InOrder)
    phases = ("--phases", "forward,backward,train_step", "--effort", "release")
    done = pipeline.run(*phases, fault="sticky", at="backward")
    assert done.code == 3
    stuck = done.case("backward", "null-b")
    assert (stuck.status, stuck.reason) == (
        "error",
        "RuntimeError: CUDA error: device-side assert triggered",
    )
    for phase in ("forward", "train_step"):
        assert done.case(phase, "null-b").status == "ok"
    assert pids["null-b", "forward"] == pids["null-b", "backward"]
    assert pids["null-b", "backward"] != pids["null-b", "train_step"]


def test_memory_that_a_limit_refuses_is_told_with_its_peak(pipeline: Pipeline) -> None:
    done = pipeline.run(*TWO_PHASES, fault="limit")
    full = done.case("forward", "null-b")
    assert full.status == "oom_host"
    assert (full.reason or "").startswith("MemoryError")
    assert full.failure is not None
    assert (full.failure.peak_rss_bytes or 0) > 10 << 20
    assert done.case("train_step", "null-b").status == "ok"


EATEN = """
from benchmarks.results.records import Stack
from benchmarks.worker.process import WorkerError, WorkerProcess
try:
    WorkerProcess(Stack("null", "a"), program="tests.eating").ask("turn", deadline_s=600)
except WorkerError as error:
    print(error.failure.signal, error.failure.peak_rss_bytes)
"""


def test_the_peak_of_a_worker_that_was_killed_is_told() -> None:
    # From a small process, that of a shell: what is no more than the parent's own peak tells
    # nothing, and a program inherits the peak of the process that became it.
    asked = ["sh", "-c", '"$0" -c "$1"; exit', sys.executable, EATEN]
    done = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True)
    name, peak = done.stdout.split()
    assert name == "SIGKILL"
    assert MIB << 20 <= int(peak) < 2 * MIB << 20


@pytest.mark.parametrize(("peak", "status"), [(95, "oom_host"), (80, "crash"), (None, "crash")])
def test_a_kill_at_the_limit_of_memory_is_put_down_to_it(
    monkeypatch: pytest.MonkeyPatch, peak: int | None, status: str
) -> None:
    monkeypatch.setattr(host, "oom_kills", lambda: host.Reading(None, "not counted"))
    monkeypatch.setattr(host, "memory_limit_bytes", lambda: host.Reading(100))
    monkeypatch.setattr(WorkerProcess, "_reaped", lambda _: peak)
    worker = WorkerProcess(STACK)
    worker._process.kill()
    with pytest.raises(WorkerError) as caught:
        worker.ask("turn", deadline_s=60)
    assert (caught.value.status, caught.value.failure.peak_rss_bytes) == (status, peak)


def test_a_clock_that_stands_still_is_no_time(pipeline: Pipeline) -> None:
    done = pipeline.run(*ONCE, fault="clock")
    assert done.code == 3
    still, other = done.case("forward", "null-b"), done.case("forward", "null-a")
    assert (still.status, still.samples_s, other.status) == ("invalid", (), "ok")
    assert (still.reason or "").startswith("ClockError: the clock measured ")
    (verdict,) = done.matchup("forward").verdicts
    assert verdict.verdict == "not comparable"


def test_an_answer_that_is_no_number_costs_its_case_and_not_the_run(pipeline: Pipeline) -> None:
    done = pipeline.run(*ONCE, fault="nan")
    assert done.code == 3
    odd, other = done.case("forward", "null-b"), done.case("forward", "null-a")
    assert (odd.status, other.status) == ("invalid", "ok")
    assert odd.reason == "the answer to 'finish' holds a number that is none (NaN or infinite)"
    assert len(other.samples_s) > 0


@pytest.mark.slow
def test_two_hundred_mebibytes_of_output_cost_neither_a_case_nor_memory(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    leave = WorkerProcess.quit

    def watched(worker: WorkerProcess) -> str | None:
        kept.append(len(worker._log.last()))
        return leave(worker)

    monkeypatch.setattr(WorkerProcess, "quit", watched)
    done = pipeline.run(*ONCE, fault="flood", at="build")
    assert done.code == 0
    assert [case.status for case in done.matchup("forward").cases] == ["ok", "ok"]
    assert max(kept) == process.LOG_BYTES
