"""Reads what a soak left behind, and says what should not be as it is."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil

from benchmarks.measure import session
from benchmarks.results.records import Exit
from benchmarks.results.stored import journal
from benchmarks.results.stored.codec import read_run
from tests.pipeline import alive
from tests.soak.faults import Fault
from tests.soak.parent import MEMORY, PRECIOUS, VICTIM

MARK = "TWINBENCH_SOAK"
"""The variable that all processes of a soak have."""
HEALTHY, STRUCK = "null-a", "null-b"


class Found(NamedTuple):
    """What a run left: launches in its journal, how many are missing or there twice, and faults."""

    launches: int
    lost: int
    doubled: int
    breaches: tuple[str, ...]


class Memory(NamedTuple):
    """Resident bytes in the first and in the last tenth of some readings: the median of each."""

    first: float
    last: float

    @property
    def grown_mb(self) -> float:
        """Millions of bytes from the one to the other."""
        return (self.last - self.first) / 1e6


def of_run(out: Path, fault: Fault | None, launches: int) -> Found:
    """What is on disk of a run that was to make so many launches."""
    done = [path.parent for path in out.glob(f"*-*/{session.SUMMARY}") if not path.is_symlink()]
    if len(done) != 1:
        return Found(0, launches, 0, (f"{len(done)} runs are finished, where 1 should be",))
    (folder,) = done
    entries, damaged = journal.read(folder / session.JOURNAL)
    made = [entry for entry in entries if entry["kind"] == "launch"]
    counted = Counter(entry["launch"] for entry in made)
    lost = len(set(range(launches)) - counted.keys())
    doubled = sum(times - 1 for times in counted.values())
    breaches = [f"{damaged} damaged lines"] if damaged else []
    breaches += [f"{lost} launches lost, {doubled} doubled"] if lost or doubled else []
    breaches += _of_cases(entries, fault)
    breaches += _of_summary(folder, made, fault)
    return Found(sum(counted.values()), lost, doubled, tuple(breaches))


def _of_cases(entries: list[dict[str, Any]], fault: Fault | None) -> Iterator[str]:
    """What is wrong with who was timed in which launch, and with what failed."""
    noisy = {(e["stack"], e["launch"]) for e in entries if e["kind"] == "unresolved"}
    failed = {e["stack"]: e for e in entries if e["kind"] == "failure"}
    for entry in entries:
        if entry["kind"] != "launch":
            continue
        for stack in (HEALTHY, STRUCK):
            timed = stack in entry["cases"] or (stack, entry["launch"]) in noisy
            gone = stack == STRUCK and fault and fault.status and entry["launch"] >= fault.launch
            if not timed and not gone:
                yield f"launch {entry['launch']} lacks {stack}"
    counted = Counter(e["stack"] for e in entries if e["kind"] == "failure")
    expected = {STRUCK: 1} if fault and fault.status else {}
    if counted != expected:
        told = "; ".join(f"{stack}: {e['status']}: {e['reason']}" for stack, e in failed.items())
        yield f"failures are {dict(counted)}, not {expected} ({told})"
    elif fault and fault.status and failed[STRUCK]["status"] != fault.status:
        yield f"{fault.of_worker} became {failed[STRUCK]['status']}, not {fault.status}"


def _of_summary(folder: Path, made: list[dict[str, Any]], fault: Fault | None) -> Iterator[str]:
    """Whether run.json tells what the journal does."""
    run = read_run(json.loads((folder / session.SUMMARY).read_bytes()))
    expected = Exit.INCOMPLETE if fault and fault.status else Exit.OK
    if run.exit != expected:
        yield f"its exit code is {run.exit}, not {expected}"
    (result,) = run.matchups
    for case in result.cases:
        told = [launch.index for launch in case.launches]
        there = sorted(e["launch"] for e in made if case.stack in e["cases"])
        if told != there:
            yield f"run.json has launches {told} of {case.stack}, the journal {there}"
        lost = case.stack == STRUCK and fault is not None and fault.status is not None
        if (case.status == "ok") == lost:
            yield f"{case.stack} is {case.status}: {case.reason}"


def of_place(place: Path, scratch: Path) -> list[str]:
    """What is wrong beside the runs: a file elsewhere that was written to, a folder left."""
    breaches = []
    if (place / VICTIM).read_text() != PRECIOUS:
        breaches.append("a link was followed")
    left = sorted(path.name for path in scratch.iterdir())
    return breaches + ([f"left in the temporary folder: {', '.join(left)}"] if left else [])


def processes(mark: str) -> list[psutil.Process]:
    """Every process with this mark that still does anything, but for this one."""
    return [p for p in psutil.process_iter() if p.pid != os.getpid() and _marked(p, mark)]


def _marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark and alive(process)
    except psutil.Error:
        return False


def memory(place: Path) -> dict[int, list[tuple[int, int, int]]]:
    """Run, launch and resident bytes of each reading, by process."""
    found: dict[int, list[tuple[int, int, int]]] = {}
    path = place / MEMORY
    for line in path.read_text().splitlines() if path.exists() else ():
        pid, run, launch, resident = map(int, line.split())
        found.setdefault(pid, []).append((run, launch, resident))
    return found


def within(readings: list[tuple[int, int, int]]) -> Memory:
    """How the memory of one process grew over a run."""
    resident = [each[2] for each in readings]
    tenth = max(1, len(resident) // 10)
    return Memory(median(resident[:tenth]), median(resident[-tenth:]))


def at_equal_points(readings: list[tuple[int, int, int]]) -> Memory | None:
    """How it grew from the end of the process's first whole run to the end of its last one.

    ``None`` where it has not made three.
    """
    last = {run: resident for run, _, resident in readings}  # by run: its last launch
    whole = list(last.values())[1:]
    return Memory(whole[0], whole[-1]) if len(whole) > 1 else None
