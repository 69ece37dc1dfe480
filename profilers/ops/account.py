"""From events to rows that add up: operations and the framework's own time make the wall time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from profilers.ops import kernels
from profilers.ops.intervals import innermost, shared
from profilers.ops.rows import Event, Recording, Row, Steps

NANO = 1e-9
MULTIPLY = ("conv", "matmul", "recurrent")


class Kind(NamedTuple):
    """What makes operations equal."""

    op: str
    category: str
    phase: str
    layer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(Steps):
    """Where the time of a step went: its rows and the overhead add up to it."""

    rows: tuple[Row, ...]


def attribute(recording: Recording) -> Account:
    """The rows of a recording, largest first; they and the overhead add up to the wall time.

    Raises:
        ValueError: no step was recorded.
    """
    steps = len(recording.starts_ns)
    if not steps:
        raise ValueError("no step was recorded")
    inside = [e for e in recording.events if 0 <= e.step < steps]
    host = [e for e in inside if not e.device]
    device = [e for e in inside if e.device]
    on_host, on_device = _shares(host, recording), _shares(device, recording)
    calls = {**Counter(map(_kind, host)), **Counter(map(_kind, device))}
    rows = [
        Row(
            op=kind.op,
            category=kind.category,
            phase=kind.phase,
            layer=kind.layer,
            calls=calls[kind] / steps,
            self_s=on_host.get(kind, 0.0) * NANO / steps,
            device_s=on_device.get(kind, 0.0) * NANO / steps if device else None,
        )
        for kind in dict.fromkeys((*on_device, *on_host))
    ]
    walls = [end - start for start, end in zip(recording.starts_ns, recording.ends_ns, strict=True)]
    wall_s = sum(walls) * NANO / steps
    busy_s = sum((on_device if device else on_host).values()) * NANO / steps
    return Account(
        rows=_sorted(rows),
        steps=steps,
        wall_s=wall_s,
        median_s=median(walls) * NANO,
        busy_s=busy_s,
        overhead_s=max(0.0, wall_s - busy_s),
        on_device=bool(device),
        launches=len(device) / steps if device else None,
        syncs=None if recording.syncs is None else recording.syncs / steps,
        implementations=kernels.recognised(inside, steps),
    )


def merge(
    accounts: Sequence[Account], flops: Mapping[tuple[str, str], float] | None = None
) -> Account:
    """The mean of several recordings of one stack: its rows and overhead add up as theirs do.

    Args:
        accounts: at least one.
        flops: of one step, by layer and phase. They stand at the row that takes the most time of
            those that can multiply matrices in that layer and phase.
    """
    found: dict[Kind, list[Row]] = {}
    for row in (row for account in accounts for row in account.rows):
        found.setdefault(Kind(row.op, row.category, row.phase, row.layer), []).append(row)

    def mean(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(accounts) if known else None

    rows = [
        Row(
            **kind._asdict(),
            calls=mean(row.calls for row in same) or 0.0,
            self_s=mean(row.self_s for row in same) or 0.0,
            device_s=mean(row.device_s for row in same),
        )
        for kind, same in found.items()
    ]
    return Account(
        rows=tuple(_counted(_sorted(rows), dict(flops or {}))),
        steps=sum(a.steps for a in accounts),
        wall_s=mean(a.wall_s for a in accounts) or 0.0,
        median_s=median(a.median_s for a in accounts),
        busy_s=mean(a.busy_s for a in accounts) or 0.0,
        overhead_s=mean(a.overhead_s for a in accounts) or 0.0,
        on_device=any(a.on_device for a in accounts),
        launches=mean(a.launches for a in accounts),
        syncs=mean(a.syncs for a in accounts),
        implementations=kernels.union(one for a in accounts for one in a.implementations),
    )


def _sorted(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: -spent(row)))


def _counted(rows: Iterable[Row], flops: dict[tuple[str, str], float]) -> Iterator[Row]:
    for row in rows:
        found = flops.pop((row.layer or "", row.phase), None) if row.category in MULTIPLY else None
        yield replace(row, flops=found)


def spent(row: Row) -> float:
    """The seconds by which a row counts: the device's where there is one."""
    return row.self_s if row.device_s is None else row.device_s


def _kind(event: Event) -> Kind:
    return Kind(event.name, event.category, event.phase, event.layer)


def _shares(events: list[Event], recording: Recording) -> dict[Kind, float]:
    """Nanoseconds that each kind of operation accounts for within the steps."""
    pieces: list[tuple[int, int, Kind]] = []
    for thread in dict.fromkeys(e.thread for e in events):
        own = [e for e in events if e.thread == thread]
        within = [
            (
                max(e.start_ns, recording.starts_ns[e.step]),
                min(e.start_ns + e.duration_ns, recording.ends_ns[e.step]),
            )
            for e in own
        ]
        pieces += [(start, end, _kind(own[i])) for start, end, i in innermost(within)]
    return shared(pieces)
