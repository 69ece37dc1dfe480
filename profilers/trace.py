"""Operations of several stacks as one file that Perfetto opens, aligned where step 0 begins.

The Chrome trace-event format. Its viewer drops what overlaps on a track without nesting, and reads
a time with a fraction to the nanosecond below or not, depending on its version. So an operation is
a begin and an end in the order of the file, which no rounding can reverse, and what would overlap
goes to a track of its own.

Format: Trace Event Format, docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from profilers.ops.rows import Event

Series = Mapping[str, Sequence[tuple[int, float | None]]]
Lanes = list[list[Event]]

CLAMP_NS = 1000
"""An operation that outlasts the one around it by no more than the clocks' resolution is cut."""


@dataclass(frozen=True, slots=True)
class StackTrace:
    """What is drawn of a stack: its operations, and counters on the same clock.

    Both count from the start of step 0; nothing lies before, as a viewer would drop it. A counter's
    value is ``None`` where it could not be read.
    """

    events: Sequence[Event]
    counters: Series = field(default_factory=dict)


def document(stacks: Mapping[str, StackTrace]) -> dict[str, Any]:
    """The file as data: a process per stack, a track per thread and what would not nest in it."""
    entries: list[dict[str, Any]] = []
    for pid, (name, trace) in enumerate(stacks.items(), 1):
        entries += _process(pid, name, trace)
    return {"displayTimeUnit": "ns", "traceEvents": entries}


def tracks(events: Iterable[Event]) -> dict[str, Lanes]:
    """The operations of each thread on as many tracks as it takes for all to nest."""
    threads: dict[str, list[Event]] = {}
    for event in events:
        threads.setdefault(event.thread, []).append(event)
    # Threads of the host come first, each kind in the order of its names.
    ordered = sorted(threads.items(), key=lambda item: (item[1][0].device, item[0]))
    return {thread: _lanes(found) for thread, found in ordered}


def _process(pid: int, name: str, trace: StackTrace) -> list[dict[str, Any]]:
    entries = [
        _named("process_name", pid, 0, {"name": name}),
        _named("process_sort_index", pid, 0, {"sort_index": pid}),
    ]
    tid = 0
    for thread, lanes in tracks(trace.events).items():
        for number, lane in enumerate(lanes, 1):
            tid += 1
            shown = thread if number == 1 else f"{thread} ({number})"
            entries += [
                _named("thread_name", pid, tid, {"name": shown}),
                _named("thread_sort_index", pid, tid, {"sort_index": tid}),
                *_slices(lane, pid, tid),
            ]
    for metric, series in trace.counters.items():
        entries += [
            {
                "ph": "C",
                "name": metric,
                "pid": pid,
                "tid": 0,
                "ts": at / 1000,
                "args": {"value": value},
            }
            for at, value in series
            if value is not None
        ]
    return entries


def _named(name: str, pid: int, tid: int, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"ph": "M", "name": name, "pid": pid, "tid": tid, "args": arguments}


def _slices(lane: Sequence[Event], pid: int, tid: int) -> list[dict[str, Any]]:
    """Begins and ends in the order in which they happen; microseconds, with three decimals."""
    place = {"pid": pid, "tid": tid}
    made: list[dict[str, Any]] = []
    opened: list[int] = []

    def close(until: int | None) -> None:
        while opened and (until is None or opened[-1] <= until):
            made.append({"ph": "E", "ts": opened.pop() / 1000, **place})

    for event in lane:
        start = event.start_ns
        close(start)
        arguments = {"phase": event.phase, "layer": event.layer, "step": event.step}
        begin = {"ph": "B", "name": event.name, "cat": event.category, "ts": start / 1000}
        made.append(begin | place | {"args": arguments})
        opened.append(start + event.duration_ns)
    close(None)
    return made


def _lanes(events: Sequence[Event]) -> Lanes:
    """Each operation on the first track whose open operations it lies within or after."""
    lanes: Lanes = []
    opened: list[list[int]] = []  # the ends of what is open on each track, the outermost first
    for event in sorted(events, key=lambda e: (e.start_ns, -e.duration_ns)):
        for ends in opened:
            while ends and ends[-1] <= event.start_ns:
                ends.pop()
        free = (i for i, e in enumerate(opened) if not e or _end(event) <= e[-1] + CLAMP_NS)
        place = next(free, len(lanes))
        if place == len(lanes):
            lanes.append([])
            opened.append([])
        ends = opened[place]
        end = min(_end(event), ends[-1]) if ends else _end(event)
        lanes[place].append(replace(event, duration_ns=end - event.start_ns))
        ends.append(end)
    return lanes


def _end(event: Event) -> int:
    return event.start_ns + max(0, event.duration_ns)
