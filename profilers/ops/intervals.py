"""The algebra of intervals: how long anything ran, and what of it each operation accounts for.

All times are integers in nanoseconds: as floats, nanoseconds since the epoch would be rounded to
256 of them, which makes neighbours overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

Interval = tuple[int, int]
"""Start and end; an end that is not behind the start is an empty interval."""
Key = TypeVar("Key")


def innermost(intervals: Sequence[Interval]) -> list[tuple[int, int, int]]:
    """Cut the intervals of one thread so that each moment belongs to the innermost.

    An interval that reaches beyond the one around it is cut there: a thread does one thing at a
    time, so the overhang is an error of the clock.

    Returns: ``(start, end, index of the interval)``, in order, without overlap.
    """
    order = sorted(range(len(intervals)), key=lambda i: (intervals[i][0], -intervals[i][1]))
    pieces: list[tuple[int, int, int]] = []
    open_: list[tuple[int, int]] = []  # end and index, outermost first
    now = 0

    def close(until: int) -> None:
        nonlocal now
        while open_ and open_[-1][0] <= until:
            end, index = open_.pop()
            if end > now:
                pieces.append((now, end, index))
                now = end

    for index in order:
        start, end = intervals[index]
        close(start)
        if open_:
            if start > now:
                pieces.append((now, start, open_[-1][1]))
            end = min(end, open_[-1][0])
        now = max(now, start) if open_ else start
        if end > start:
            open_.append((end, index))
    if open_:
        close(max(end for end, _ in open_))
    return pieces


def shared(pieces: Iterable[tuple[int, int, Key]]) -> dict[Key, float]:
    """What each key accounts for where pieces of several threads overlap: equal parts.

    The values add up to the union of the pieces.
    """
    edges: list[tuple[int, int, int, Key]] = []
    for number, (start, end, key) in enumerate(pieces):
        if end > start:
            edges += [(start, 1, number, key), (end, 0, number, key)]
    edges.sort(key=lambda e: e[:3])
    running: dict[int, Key] = {}
    found: dict[Key, float] = {}
    before = 0
    for at, opens, number, key in edges:
        if running and at > before:
            part = (at - before) / len(running)
            for held in running.values():
                found[held] = found.get(held, 0.0) + part
        before = at
        if opens:
            running[number] = key
        else:
            del running[number]
    return found
