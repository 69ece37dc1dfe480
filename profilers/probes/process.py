"""What a process, its threads and its children take of the machine, from /proc.

Figures of threads and processes that ended stay in their sums as they were last seen, so that a
sum never falls. Not ``ru_maxrss``: it is inherited through exec from whatever started the process.

Formats: proc(5).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from profilers import host
from profilers.host import PROC, Reading
from profilers.metrics import RATE_S, Capability, Lost, Metric
from profilers.probes._protocol import Target

RSS, PEAK, THREADS = "cpu.rss_bytes", "cpu.peak_rss_bytes", "cpu.threads"
CORES, MINOR, MAJOR = "cpu.cores_used", "cpu.minor_faults", "cpu.major_faults"
VOLUNTARY, INVOLUNTARY = "cpu.voluntary_switches", "cpu.involuntary_switches"
METRICS = (
    Metric(name=CORES, kind="rate", min_s=RATE_S, meaning="CPU seconds per second, all threads"),
    Metric(name=RSS, kind="gauge", meaning="resident set, shared pages once per process"),
    Metric(name=PEAK, kind="peak", meaning="largest resident set of the process (VmHWM)"),
    Metric(name=THREADS, kind="gauge", meaning="threads of the process and its children"),
    Metric(name=VOLUNTARY, kind="counter", meaning="times a thread waited of its own accord"),
    Metric(name=INVOLUNTARY, kind="counter", meaning="times a thread was put off its core"),
    Metric(name=MINOR, kind="counter", meaning="page faults without reading from a disk"),
    Metric(name=MAJOR, kind="counter", meaning="page faults that read from a disk"),
)
_SWITCHES = {"voluntary_ctxt_switches": VOLUNTARY, "nonvoluntary_ctxt_switches": INVOLUNTARY}


@dataclass
class Sums:
    """Counters of many owners that come and go."""

    gone: float = 0.0
    last: dict[int, float] = field(default_factory=dict)

    def see(self, owner: int, value: float) -> None:
        """Take in a reading; a smaller one is of a new owner with an old one's number."""
        before = self.last.get(owner, 0.0)
        if value < before:
            self.gone += before
        self.last[owner] = value

    @property
    def total(self) -> float:
        """Over all owners, those that ended as last seen."""
        return self.gone + sum(self.last.values())


@dataclass(eq=False)
class Process:
    """The probe of one process; its children are sought at the edges of phases."""

    pid: int
    proc: Path = PROC
    tree: list[int] = field(default_factory=list)
    counters: dict[str, Sums] = field(default_factory=dict)

    def probe(self) -> dict[str, Capability]:
        """All of it, where /proc shows the process."""
        try:
            found = self.read(edge=True)
        except Lost as lost:
            return {metric.name: Capability(str(lost)) for metric in METRICS}
        return {metric.name: Capability(found[metric.name].reason) for metric in METRICS}

    def about(self) -> dict[str, str | None]:
        """Nothing: its number says nothing to a reader."""
        return {}

    def read(self, *, edge: bool) -> dict[str, Reading[float]]:
        """Size and counters; at edges also the peak and what each thread counts by itself."""
        if edge or not self.tree:
            self.tree = [self.pid, *_descendants(self.proc, self.pid)]
        found = self._sizes()
        if edge:
            found[PEAK] = _as_float(host.peak_rss_bytes(self.pid, self.proc))
            found |= self._switches()
        return found

    def close(self) -> None:
        """Nothing is held."""

    def _sizes(self) -> dict[str, Reading[float]]:
        rss, threads = 0, 0
        for pid in self.tree:
            try:
                fields = (self.proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
            except (OSError, ValueError):
                if pid == self.pid:
                    raise Lost(f"process {pid} ended") from None
                continue
            # proc(5) counts from 1 and two fields stand before the bracket: field n is n - 3 here.
            rss += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
            threads += int(fields[17])
            self._see(MINOR, pid, int(fields[7]))
            self._see(MAJOR, pid, int(fields[9]))
            ticks = int(fields[11]) + int(fields[12])
            self._see(CORES, pid, ticks / os.sysconf("SC_CLK_TCK"))
        sums = {name: Reading(self.counters[name].total) for name in (CORES, MINOR, MAJOR)}
        return {RSS: Reading(float(rss)), THREADS: Reading(float(threads)), **sums}

    def _switches(self) -> dict[str, Reading[float]]:
        for pid in self.tree:
            for task in _tasks(self.proc, pid):
                try:
                    lines = (task / "status").read_text().splitlines()
                except OSError:
                    continue  # it ended a moment ago
                for line in lines:
                    key, _, value = line.partition(":")
                    if key in _SWITCHES:
                        self._see(_SWITCHES[key], int(task.name), int(value))
        missing: Reading[float] = Reading(None, "the kernel counts no switches")
        return {
            name: Reading(self.counters[name].total) if name in self.counters else missing
            for name in _SWITCHES.values()
        }

    def _see(self, name: str, owner: int, value: float) -> None:
        self.counters.setdefault(name, Sums()).see(owner, value)


def start(target: Target) -> Process:
    """A probe of the target's process."""
    return Process(target.pid)


def _tasks(proc: Path, pid: int) -> list[Path]:
    try:
        return list((proc / str(pid) / "task").iterdir())
    except OSError:
        return []


def _descendants(proc: Path, pid: int) -> Iterator[int]:
    """Children and theirs; none where the kernel keeps no list (CONFIG_PROC_CHILDREN)."""
    for task in _tasks(proc, pid):
        try:
            children = list(map(int, (task / "children").read_text().split()))
        except OSError:
            continue
        for child in children:
            if child == os.getpid():
                continue  # who watches is no part of what is watched
            yield child
            yield from _descendants(proc, child)


def _as_float(reading: Reading[int]) -> Reading[float]:
    return Reading(None if reading.value is None else float(reading.value), reading.reason)
