"""How a worker ends is seen, whenever it does; it costs what it was doing and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.machine.environment import ROOT
from benchmarks.results.wording import verdict_lines
from benchmarks.worker import process
from benchmarks.worker.process import WorkerProcess
from reports.contents import verdicts
from reports.pages import html, markdown
from tests.pipeline import SHORT, Pipeline, until
from tests.test_faults import _user_model

ONCE = ("--phases", "forward", "--effort", "release")
QUICK = SHORT["quick"]


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (signal.SIGSEGV, "the worker died of SIGSEGV after its last answer"),
        (signal.SIGSTOP, "the worker did not end within 0.2 s of its last answer: it was killed"),
    ],
)
def test_a_worker_that_ends_oddly_after_its_last_answer_is_flagged_and_keeps_its_samples(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, told: str
) -> None:
    leave = WorkerProcess.quit

    def struck(worker: WorkerProcess) -> str | None:
        if str(worker.stack) != "null-b":
            return leave(worker)
        os.kill(worker.pid, number)
        state = psutil.STATUS_STOPPED if number == signal.SIGSTOP else psutil.STATUS_ZOMBIE
        until(lambda: psutil.Process(worker.pid).status() == state)
        with monkeypatch.context() as patch:
            patch.setattr(process, "GRACE_S", 0.2)
            return leave(worker)

    monkeypatch.setattr(WorkerProcess, "quit", struck)
    done = pipeline.run(*ONCE)
    assert done.code == done.run.exit == 0
    odd, other = done.case("forward", "null-b"), done.case("forward", "null-a")
    assert (odd.status, odd.notes) == (
        "ok",
        (f"launch 0: {told}; its samples were complete and count",),
    )
    assert (other.status, other.notes) == ("ok", ())
    assert len(odd.samples_s) == len(other.samples_s) == SHORT["release"].rounds
    (ending,) = (e for e in done.entries if e["kind"] == "disorder")
    assert (ending["stack"], ending["launch"], ending["how"]) == ("null-b", 0, told)
    assert odd.notes[0] in verdict_lines(done.matchup("forward"))[-1]
    assert [note.reason for note in verdicts.notes(done.run)] == list(odd.notes)
    assert told in html.render(done.run)
    assert markdown.escape(odd.notes[0]) in markdown.render(done.run)
    assert pipeline.survivors() == []


def test_what_a_library_leaves_for_its_exit_delays_no_run(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    models = _user_model(
        tmp_path,
        "import atexit, threading, time\n"
        "atexit.register(time.sleep, 600)\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n",
    )
    done = pipeline.call(*models, *ONCE, "--stacks", "null-a")
    assert done.code == 0
    assert done.case("forward", "null-a").notes == ()
    assert pipeline.survivors() == []


def test_turns_of_a_launch_that_broke_off_are_kept_and_count_for_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: Counter[str] = Counter()
    ask = WorkerProcess.ask

    def struck(worker: WorkerProcess, verb: str, **arguments: Any) -> dict[str, Any]:
        if verb == "turn":
            turns[str(worker.stack)] += 1
            if str(worker.stack) == "null-b" and turns["null-b"] == QUICK.rounds + 3:
                os.kill(worker.pid, signal.SIGKILL)
        return ask(worker, verb, **arguments)

    monkeypatch.setattr(WorkerProcess, "ask", struck)
    done = pipeline.run("--phases", "forward")
    assert done.code == 3
    broken, other = done.case("forward", "null-b"), done.case("forward", "null-a")
    assert (broken.status, other.status) == ("crash", "ok")
    assert [launch.index for launch in broken.launches] == [0]
    (kept,) = (e for e in done.entries if e["kind"] == "broken")
    assert (kept["stack"], kept["launch"], len(kept["turns"])) == ("null-b", 1, 2)
    assert all(turn["run_s"] > 0 for turn in kept["turns"])
    (note,) = broken.notes
    assert note.startswith("launch 1 broke off after 2 turns (median ")
    assert note.endswith("): they are in the journal and count for nothing")
    assert other.notes == ()


FORKING = """
import multiprocessing
import psutil
multiprocessing.set_start_method("fork")
from benchmarks.results.records import Stack
from benchmarks.worker.process import WorkerProcess
worker = WorkerProcess(Stack("null", "a"))
print(*psutil.Process(worker.pid).cmdline()[1:3], worker.quit())
"""


def test_a_caller_that_forks_gets_workers_of_a_new_interpreter() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout == "-m benchmarks.worker None\n"
