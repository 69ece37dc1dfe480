"""The process that measures: run after run of the null framework, each with its fault.

``python -m tests.soak.parent FOLDER JOB`` makes the runs of a job (JSON, see ``Job``) that
``FOLDER`` lacks, and goes on with those that are there and not finished. It adds a line for each
launch to ``FOLDER/memory``: its process id, the run, the launch, and its resident bytes.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scipy.special  # noqa: F401  # a run imports it when first needed, which is not a leak

from benchmarks.__main__ import main
from benchmarks.measure import session
from benchmarks.request.selection import EFFORTS, Effort
from benchmarks.results.records import Exit
from benchmarks.results.stored import journal
from tests.frameworks.null.device import CONTROL
from tests.pipeline import BARE, TINY, shorten
from tests.soak.faults import Fault, drawn

MEMORY, VICTIM, STRUCK = "memory", "victim", "struck"
PRECIOUS = "precious\n"
WORDS = ("--phases", "forward", "--no-telemetry")
FITTING = 20
"""Bytes of a line that a full disk still takes."""
EFFORT = "standard"
"""Which makes all of its launches, whatever time they take."""
HANG_S, PATIENCE_S = "5", "60"
"""``--timeout`` of a run in which a worker hangs, and of any other."""
PAGE = resource.getpagesize()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """``runs`` are the numbers of the runs; without ``faults`` none of them has one."""

    seed: int
    runs: tuple[int, ...]
    launches: int
    faults: bool = True

    def fault(self, number: int) -> Fault | None:
        """What goes wrong in a run."""
        return drawn(self.seed, number, self.launches) if self.faults else None


@dataclass(frozen=True, slots=True)
class Striking:
    """Lets a fault happen, and notes the memory, as events are recorded."""

    folder: Path
    number: int
    fault: Fault | None

    def record(self, one: session.Session, kind: str, **data: Any) -> None:
        """In the place of ``Session.record``."""
        fault = self.fault
        here = fault is not None and data.get("launch") == fault.launch
        if kind == "starting":
            control = {"fault": fault.of_worker, "at": fault.at} if fault and here else {}
            os.environ[CONTROL] = json.dumps(control)
        if kind == "launch" and fault and here and not fault.of_worker and self._first():
            if fault.kind == "link":
                plant(one.folder, self.folder / VICTIM)
                os.kill(os.getpid(), signal.SIGKILL)
            with full_disk(one.folder / session.JOURNAL):
                RECORD(one, kind, **data)
        RECORD(one, kind, **data)
        if kind == "launch":
            with (self.folder / MEMORY).open("a") as file:
                file.write(f"{os.getpid()} {self.number} {data['launch']} {resident()}\n")

    def _first(self) -> bool:
        """Whether the fault has not struck yet; from here on it has."""
        mark = self.folder / str(self.number) / STRUCK
        if mark.exists():
            return False
        mark.touch()
        return True


RECORD = session.Session.record


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def plant(folder: Path, victim: Path) -> None:
    """Links to a file elsewhere where the run will write, and a line that is cut short."""
    for path in (folder / f"{session.JOURNAL}.bad", folder / session.SUMMARY):
        path.unlink(missing_ok=True)
        path.symlink_to(victim)
    with (folder / session.JOURNAL).open("ab") as log:
        log.write(b'{"kind":"launch","at"')


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """Have a file take no more than a few bytes while it lasts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + FITTING, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def begun(out: Path) -> str | None:
    """The id of the run below ``out`` that can be taken up."""
    for path in sorted(out.glob(f"*-*/{session.JOURNAL}")):
        if any(entry["kind"] == "run" for entry in journal.read(path)[0]):
            return path.parent.name
    return None


def carry_out(folder: Path, number: int, fault: Fault | None) -> int:
    """Make a run, or take it up, until it is finished; its last exit code."""
    out = folder / str(number)
    out.mkdir(exist_ok=True)
    striking = Striking(folder, number, fault)

    def record(self: session.Session, kind: str, **data: Any) -> None:
        striking.record(self, kind, **data)

    session.Session.record = record  # type: ignore[method-assign]
    os.environ.pop(CONTROL, None)  # of the run before
    hangs = fault is not None and fault.kind == "hang"
    seconds = HANG_S if hangs else PATIENCE_S
    words = (*TINY, *WORDS, "--effort", EFFORT, "--timeout", seconds)
    run_id = begun(out)
    code = _main(out, run_id, words)
    if fault and fault.kind in {"link", "full disk"} and code == Exit.INCOMPLETE:
        for link in out.glob(f"*-*/{session.JOURNAL}.bad"):
            if link.is_symlink():  # refused, as it must be: whoever keeps the store removes it
                link.unlink()
        code = _main(out, begun(out), words)
    return code


def _main(out: Path, run_id: str | None, words: tuple[str, ...]) -> int:
    more = ("--resume", run_id, *TINY[:2]) if run_id else words
    return main(["run", *more, "--out", str(out)], BARE)


def finished(out: Path) -> bool:
    """Whether a run has its summary, which is no link."""
    return any(not path.is_symlink() for path in out.glob(f"*-*/{session.SUMMARY}"))


def prepare(launches: int) -> None:
    """Have every run of this process be as short as can be, on a machine as busy as it likes."""
    shorten()
    EFFORTS[EFFORT] = Effort(
        launches=launches,
        cold_launches=1,
        rounds=1,
        epoch_rounds=1,
        epochs_s=0.0,
        turn_s=0.002,
        turns_s=0.0,
        warm_s=0.002,
    )


def job_of(text: str) -> Job:
    """A job from JSON."""
    told: Mapping[str, Any] = json.loads(text)
    return Job(**{**told, "runs": tuple(told["runs"])})


if __name__ == "__main__":
    place, job = Path(sys.argv[1]), job_of(sys.argv[2])
    prepare(job.launches)
    if not (place / VICTIM).exists():
        (place / VICTIM).write_text(PRECIOUS)
    for each in job.runs:
        if not finished(place / str(each)):
            carry_out(place, each, job.fault(each))
