"""Whole runs in about a second each: the null framework, a tiny model, a small effort.

As a program it is the command line at that effort, for tests that must interrupt or kill it.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.__main__ import main
from benchmarks.machine import allocator
from benchmarks.measure import run as runs
from benchmarks.measure import session
from benchmarks.measure.launches import watching
from benchmarks.measure.means import Means
from benchmarks.measure.schedule import stopping
from benchmarks.measure.session import Session
from benchmarks.request import selection
from benchmarks.request.selection import EFFORTS, Effort
from benchmarks.results.machine import Ceiling, Floor
from benchmarks.results.records import Case, MatchupResult, Run
from benchmarks.results.stored import journal
from benchmarks.results.stored.codec import read_run
from benchmarks.worker.process import WorkerProcess
from tests import kernel
from tests.kernel import Kernel

ROOT = Path(__file__).parent.parent
MODELS = Path(__file__).parent / "models"
OURS = ("--models-dir", str(MODELS))
TINY = (*OURS, "--models", "tiny", "--stacks", "null-a,null-b")
SHORT = {
    name: Effort(
        launches=launches,
        cold_launches=1,
        rounds=4,
        epoch_rounds=1,
        epochs_s=0.0,
        turn_s=0.01,
        turns_s=0.0,
        warm_s=0.02,
    )
    for name, launches in (("quick", 2), ("standard", 4), ("release", 1))
}
PATIENCE_S = 300.0
WITH, WITHOUT = "TWINBENCH_WITH_REPORT", "without-report"


@dataclass
class Outcome:
    """What one call of the command line left behind."""

    code: int
    out: Path

    @property
    def folder(self) -> Path:
        """The folder of the latest run."""
        return (self.out / "latest").resolve()

    @property
    def run(self) -> Run:
        """The summary, as any reader reads it."""
        return read_run(json.loads((self.folder / session.SUMMARY).read_text()))

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The journal, which must have no damaged line."""
        entries, damaged = journal.read(self.folder / session.JOURNAL)
        assert damaged == 0
        return entries

    def matchup(self, phase: str) -> MatchupResult:
        """The only matchup of a phase."""
        (found,) = (r for r in self.run.matchups if r.matchup.phase == phase)
        return found

    def case(self, phase: str, stack: str) -> Case:
        """A stack in the only matchup of a phase."""
        (found,) = (c for c in self.matchup(phase).cases if c.stack == stack)
        return found


@dataclass
class Pipeline:
    """Runs the command line in this process, at the small effort and with a lock of its own.

    ``means`` is what its runs are carried out with: workers are real ones, but nothing that the
    tests' own machine does counts against a turn, and no floor, peaks or page is made. A test that
    is about one of them puts it back, by ``wanting``; one that needs no processes calls ``inside``.
    """

    monkeypatch: pytest.MonkeyPatch
    tmp_path: Path
    groups: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.out = self.tmp_path / "results"
        self.monkeypatch.setattr(tempfile, "tempdir", str(self.tmp_path))
        self.monkeypatch.delenv("TWINBENCH_NULL", raising=False)
        for name, effort in SHORT.items():
            self.monkeypatch.setitem(EFFORTS, name, effort)
            # What a second pass tells has tests of its own.
            self.monkeypatch.setitem(watching.WATCH_S, name, 0.0)
        # A test makes the launches of its effort; what a default run adds has tests of its own.
        self.monkeypatch.setattr(selection, "BUDGET_S", 0.0)
        self.monkeypatch.setattr(stopping, "MOST", 0)
        self.means = replace(BARE, start=self._worker)

    def wanting(self, **parts: Any) -> "Pipeline":
        """The same with other means; ``REAL`` has those of the product."""
        self.means = replace(self.means, **parts)
        return self

    def inside(self) -> Kernel:
        """A machine in this process, on which its runs are carried out from here on."""
        machine = Kernel()
        self.monkeypatch.setattr(kernel.device(), "sleep", machine.sleep)
        # What a worker does to its own process is not done to the tests.
        self.monkeypatch.setattr(allocator, "keep", lambda: None)
        self.monkeypatch.setattr(gc, "freeze", lambda: None)
        self.wanting(start=machine.start, causes=REAL.causes, now=machine.now, pause=machine.sleep)
        return machine

    def run(self, *arguments: str, **control: Any) -> Outcome:
        """Measure the tiny model; ``control`` tells mode b of the null framework what to do."""
        return self.call(*TINY, *arguments, **control)

    def call(self, *arguments: str, **control: Any) -> Outcome:
        """``run`` with these arguments alone."""
        with self.monkeypatch.context() as patch:
            patch.setenv("TWINBENCH_NULL", json.dumps(control))
            code = main(["run", "--out", str(self.out), *arguments], self.means)
        return Outcome(code, self.out)

    def start(self, *arguments: str, report: bool = False) -> "subprocess.Popen[bytes]":
        """The same in a process of its own, its stderr in the file ``stderr``."""
        words = ["run", *TINY, "--out", str(self.out), *arguments]
        with self.stderr.open("wb") as stderr:
            return subprocess.Popen(
                [sys.executable, "-m", __name__, WITH if report else WITHOUT, *words],
                cwd=ROOT,
                env=os.environ | {"TMPDIR": str(self.tmp_path)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )

    @property
    def stderr(self) -> Path:
        """Where ``start`` lets its process write."""
        return self.tmp_path / "stderr"

    def journals(self) -> list[Path]:
        """The journals of all runs."""
        return sorted(self.out.glob(f"*-*/{session.JOURNAL}"))

    def launches_done(self) -> int:
        """How many launches the only run has finished so far."""
        return sum(path.read_bytes().count(b'{"kind":"launch"') for path in self.journals())

    def survivors(self) -> list[psutil.Process]:
        """Processes still alive in the group of any worker that was started here."""
        return [p for p in psutil.process_iter() if alive(p) and _group(p.pid) in self.groups]

    def _worker(self, *arguments: Any, **named: Any) -> WorkerProcess:
        worker = WorkerProcess(*arguments, **named)
        self.groups.append(worker.pid)
        return worker


def alive(process: psutil.Process) -> bool:
    """Whether a process still does anything; one that only waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(condition: Callable[[], object]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)


def _no_report(folder: Path) -> Path:
    return folder / "report.html"


def _no_floor(session: Session) -> Floor:
    del session
    return Floor()


def _no_ceiling(session: Session) -> Ceiling:
    del session
    return Ceiling(reason="not measured")


def _nothing_disturbs(record: Any, normal: Any) -> dict[str, float]:
    del record, normal
    return {}


REAL = runs.MEANS
BARE = Means(floor=_no_floor, ceiling=_no_ceiling, causes=_nothing_disturbs, report=_no_report)
WITHOUT_CALIBRATION = replace(REAL, floor=_no_floor, ceiling=_no_ceiling)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def shorten() -> None:
    """Have every run of this process be small, and without a watch."""
    EFFORTS.update(SHORT)
    selection.BUDGET_S = 0.0
    watching.WATCH_S.update(dict.fromkeys(SHORT, 0.0))


def pytest_configure() -> None:
    """As a plugin (``-p tests.pipeline``) it shortens the runs of the pytest front door.

    A report is built where the variable ``WITH`` is set.
    """
    shorten()
    told = WITH in os.environ
    runs.MEANS = WITHOUT_CALIBRATION if told else replace(WITHOUT_CALIBRATION, report=_no_report)


if __name__ == "__main__":
    shorten()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and nohup this
    chosen = WITHOUT_CALIBRATION
    if sys.argv[1] == WITHOUT:
        chosen = replace(chosen, report=_no_report)
    sys.exit(main(sys.argv[2:], chosen))
