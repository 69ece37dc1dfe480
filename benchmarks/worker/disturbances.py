"""Who else was at the machine while a turn was timed, as the kernel recorded it.

With one foreign process on two cores an OpenMP loop takes nine times as long while a task queue
loses a third, so a ratio taken on a busy machine says more about the neighbour than about the
stacks. A turn is judged by what was recorded beside it and never by its own time: else the slow
half of a distribution would be cut off and called noise.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from profilers import host

CANARY_STEPS = 3_000
CANARY_TRIES = 3
TAKEN_SHARE = 0.05
"""Of a turn: CPU time that others took while our threads stood in the queue for it."""
STOLEN_SHARE = 0.05
"""Of a turn on one core: CPU time that the hypervisor gave to others."""
TICK_S = 0.01
"""The step of the kernel's counters of idle and stolen time."""
ROUNDING_S = 2 * TICK_S
"""What others' time may be off by: a step, and what our threads on other cores have run since the
kernel last booked it."""
SLOW_CANARY = 1.4
QUIET_CORES = 0.25
"""Foreign CPU time, in cores, up to which a turn still teaches what is normal for its stack."""
LEARNED = 3
"""Turns after which a stack's own normal is trusted."""
ASLEEP_S = 0.1
"""Time in which the machine was suspended from which on a turn does not count: what it finds when
it wakes is another machine. Less may lie between two readings of two clocks."""

TurnRecord = Mapping[str, Any]
SPENT = (
    "own_s",
    "delay_s",
    "steal_s",
    "pressure_s",
    "switches",
    "waits",
    "minor_faults",
    "major_faults",
    "asleep_s",
)
"""The counters whose growth over a turn is recorded."""


def canary(now: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of a fixed loop, the best of three: it slows only where the core itself is slow."""
    return min(_loop(now) for _ in range(CANARY_TRIES))


def _loop(now: Callable[[], float]) -> float:
    began = now()
    for _ in range(CANARY_STEPS):
        pass
    return now() - began


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Seconds since some fixed moment; what is not ``_s`` is a number.

    ``switches``: times that a thread was put off its core; ``waits``: times that one waited of its
    own accord; ``major_faults``: page faults that read from a disk; ``asleep_s``: time since the
    machine started in which it was suspended. ``None`` stands for what the kernel does not account.
    """

    at_s: float
    own_s: float
    delay_s: float | None
    cpus: int
    idle_s: float | None
    steal_s: float | None
    pressure_s: float | None
    switches: int
    waits: int = 0
    minor_faults: int = 0
    major_faults: int = 0
    asleep_s: float | None = None

    @classmethod
    def read(cls, now: Callable[[], float]) -> Counters:
        """Ask the kernel."""
        delay_s, pressure = host.run_queue_delay_s().value, host.cpu_pressure().value
        usage, times = resource.getrusage(resource.RUSAGE_SELF), host.cpu_times().value
        return cls(
            at_s=now(),
            own_s=usage.ru_utime + usage.ru_stime,
            delay_s=delay_s,
            cpus=times.cpus if times else 0,
            idle_s=times.idle_s if times else None,
            steal_s=times.steal_s if times else None,
            pressure_s=pressure.total_s if pressure else None,
            switches=usage.ru_nivcsw,
            waits=usage.ru_nvcsw,
            minor_faults=usage.ru_minflt,
            major_faults=usage.ru_majflt,
            asleep_s=host.suspended_s().value,
        )


class EdgeMonitor:
    """Reads the counters and the canary at both edges of what is timed, outside of it.

    Args:
        now: monotonic seconds.
        counters: asks the kernel, given ``now``.
        chirp: seconds of the canary, given ``now``.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.perf_counter,
        counters: Callable[[Callable[[], float]], Counters] = Counters.read,
        chirp: Callable[[Callable[[], float]], float] = canary,
    ) -> None:
        self.now, self._counters, self._chirp = now, counters, chirp
        self.records: list[dict[str, Any]] = []
        self._before: tuple[float, float, Counters] | None = None

    def open(self) -> None:
        """Before the clock starts."""
        entered = self.now()
        chirp = self._chirp(self.now)
        before = self._counters(self.now)
        self._before = (self.now() - entered, chirp, before)

    def close(self) -> None:
        """After the clock has stopped."""
        if self._before is None:
            raise RuntimeError("a watch is opened before it is closed")
        entered = self.now()
        spent_s, chirp, before = self._before
        after = self._counters(self.now)
        chirp = min(chirp, self._chirp(self.now))  # both edges slow: so was what lies between
        gate_s = spent_s + self.now() - entered
        self.records.append(_between(before, after) | {"canary_s": chirp, "gate_s": gate_s})

    def record(self) -> dict[str, Any]:
        """All that was watched since the last record, added up; the slowest canary of them."""
        taken, self.records = self.records, []
        return {
            name: max(r[name] for r in taken)
            if name == "canary_s"
            else _sum([r[name] for r in taken])
            for name in taken[0]
        }


def _between(before: Counters, after: Counters) -> dict[str, Any]:
    """What was spent between two readings.

    ``foreign_s``: what is left of all CPUs' time without idling, the hypervisor's and our own.
    """
    first, last = asdict(before), asdict(after)
    spent = {
        name: None if first[name] is None or last[name] is None else last[name] - first[name]
        for name in SPENT
    }
    wall_s, foreign_s = after.at_s - before.at_s, None
    if before.idle_s is not None and after.idle_s is not None:
        idle_s = after.idle_s - before.idle_s
        left_s = after.cpus * wall_s - idle_s - (spent["steal_s"] or 0.0) - (spent["own_s"] or 0.0)
        foreign_s = max(0.0, left_s)
    return {"wall_s": wall_s, "foreign_s": foreign_s, **spent}


def _sum(values: Sequence[float | None]) -> float | None:
    there = [v for v in values if v is not None]
    return sum(there) if len(there) == len(values) else None


@dataclass
class Normal:
    """What the turns of one stack in one phase show where nobody disturbs them.

    A pool larger than the cores delays itself: its queueing is no sign of a neighbour.
    """

    delay_shares: list[float] = field(default_factory=list)
    canaries_s: list[float] = field(default_factory=list)

    def learn(self, record: TurnRecord) -> None:
        """Take in a turn; one beside a busy neighbour teaches nothing about delay."""
        self.canaries_s.append(record["canary_s"])
        foreign_s, wall_s = record["foreign_s"], record["wall_s"]
        quiet = foreign_s is not None and foreign_s - ROUNDING_S <= QUIET_CORES * wall_s
        if quiet and record["delay_s"] is not None:
            self.delay_shares.append(record["delay_s"] / wall_s)

    def delay_share(self) -> float:
        """The stack's own queueing as a share of its turns; 0 until enough is known."""
        return median(self.delay_shares) if len(self.delay_shares) >= LEARNED else 0.0

    def canary_s(self) -> float | None:
        """The canary on a free core: the fastest quarter; ``None`` until enough is known."""
        if len(self.canaries_s) < LEARNED:
            return None
        return sorted(self.canaries_s)[len(self.canaries_s) // 4]


def causes(record: TurnRecord, normal: Normal) -> dict[str, float]:
    """What was recorded against a turn: each cause with its size, nothing where it was left alone.

    ``taken``: share of the turn in which others ran while our threads waited, beyond what the
    stack does to itself; ``stolen``: share that the hypervisor gave away; ``slow``: how many times
    as long the canary took; ``gpu``: 1 where the device reported a reason; ``asleep``: seconds in
    which the machine was suspended, which the turn's own clock does not count.
    """
    wall_s, found = record["wall_s"], dict[str, float]()
    if record["delay_s"] is not None and record["foreign_s"] is not None:
        waited_s = record["delay_s"] - normal.delay_share() * wall_s
        taken = min(waited_s, record["foreign_s"] - ROUNDING_S) / wall_s
        if taken > TAKEN_SHARE:
            found["taken"] = taken
    stolen_s = record["steal_s"] or 0.0
    if stolen_s >= ROUNDING_S and stolen_s > STOLEN_SHARE * wall_s:
        found["stolen"] = stolen_s / wall_s
    usual_s = normal.canary_s()
    if usual_s and record["canary_s"] > SLOW_CANARY * usual_s:
        found["slow"] = record["canary_s"] / usual_s
    if record.get("gpu"):
        found["gpu"] = 1.0
    if (asleep_s := record.get("asleep_s") or 0.0) > ASLEEP_S:
        found["asleep"] = asleep_s
    return found


def summary(records: Iterable[TurnRecord]) -> dict[str, Any]:
    """The turns of a launch in a few figures: medians, and shares of the time they took."""
    taken = list(records)
    if not taken:
        return {}
    wall_s = sum(r["wall_s"] for r in taken)

    def share(name: str) -> float | None:
        total = _sum([r[name] for r in taken])
        return None if total is None else total / wall_s

    return {
        "canary_s": median(r["canary_s"] for r in taken),
        "delay_share": share("delay_s"),
        "foreign_cores": share("foreign_s"),
        "steal_share": share("steal_s"),
        "pressure_share": share("pressure_s"),
        "switches": sum(r["switches"] for r in taken),
        "gate_share": share("gate_s"),
    }
