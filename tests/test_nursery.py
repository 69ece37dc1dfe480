"""Workers forked from a process that has imported the framework are workers like any other."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from benchmarks.nursery import Nursery, Zygote
from benchmarks.plan import Selection
from benchmarks.process import WorkerError, WorkerProcess
from benchmarks.records import Stack
from tests.pipeline import Pipeline, alive, until

STACK = Stack("null", "b")


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    """A process that has imported nothing, ready to fork."""
    made = Zygote(STACK)
    assert made.ready(60)
    yield made
    made.close()


def test_a_forked_worker_answers_and_ends_when_told(zygote: Zygote) -> None:
    worker = WorkerProcess(STACK, fork=zygote.fork)
    assert worker.forked
    with pytest.raises(WorkerError, match="has not been started"):
        worker.ask("first_step", deadline_s=60)
    assert os.getpgid(worker.pid) == worker.pid
    worker.quit()
    assert not _there(worker.pid)


def test_each_fork_is_a_process_of_its_own(zygote: Zygote) -> None:
    workers = [WorkerProcess(STACK, fork=zygote.fork) for _ in range(3)]
    assert len({worker.pid for worker in workers}) == 3
    for worker in workers:
        worker.quit()


def test_how_a_forked_worker_died_is_told(zygote: Zygote) -> None:
    worker = WorkerProcess(STACK, fork=zygote.fork)
    os.kill(worker.pid, signal.SIGSEGV)
    with pytest.raises(WorkerError, match="died of SIGSEGV") as caught:
        worker.ask("first_step", deadline_s=60)
    assert (caught.value.status, caught.value.failure.signal) == ("crash", "SIGSEGV")
    other = WorkerProcess(STACK, fork=zygote.fork)
    with pytest.raises(subprocess.TimeoutExpired):
        other._process.wait(0.05)
    other.quit()


def test_a_worker_ends_with_what_it_was_forked_from() -> None:
    zygote = Zygote(STACK)
    assert zygote.ready(60)
    worker = WorkerProcess(STACK, fork=zygote.fork)
    zygote.close()
    until(lambda: not _there(worker.pid))
    with pytest.raises(WorkerError):
        worker.ask("first_step", deadline_s=5)
    anew = WorkerProcess(STACK, fork=zygote.fork)
    assert not anew.forked
    anew.quit()


def test_a_framework_that_cannot_be_imported_leaves_fresh_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with closing(Nursery(Selection(timeout_s=30, processes="forked"))) as nursery:
        nursery.start([STACK])
        nursery.settle()
        assert nursery.fork(STACK) is None


def test_processes_are_fresh_unless_asked_for() -> None:
    with closing(Nursery(Selection())) as nursery:
        nursery.start([STACK])
        nursery.settle()
        assert nursery.zygotes == {}


def test_the_data_say_how_each_launch_was_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline = Pipeline(monkeypatch, tmp_path)
    done = pipeline.run("--phases", "forward,cold_start", "--processes", "forked")
    kinds = [launch.process for launch in done.case("forward", "null-a").launches]
    assert kinds == ["fresh", "forked"]
    done = pipeline.run("--phases", "forward")
    assert {launch.process for launch in done.case("forward", "null-a").launches} == {"fresh"}


def _there(pid: int) -> bool:
    return psutil.pid_exists(pid) and alive(psutil.Process(pid))
