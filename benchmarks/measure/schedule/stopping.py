"""Where one more launch helps most: where a call is near, or where an interval is too wide.

A run makes the launches of its effort, and then more of those matchups whose call is expected
within its budget and ``MOST`` launches. It leaves alone what is called and what is too equal to be
called. With ``--until-ci`` it goes on where intervals are widest.

Looking again and again costs coverage, which was simulated (``tests/test_stopping.py``). Stopping
on a width leaves 94 % of the 95 at ±2 % and 91 % at ±1 %. Stopping on a call leaves 94 % where
stacks are equal and where they differ by twice the margin, and 86 % where they differ by just the
margin. A rule that looked at rounds would keep far less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks.request.plan import Group
from benchmarks.request.selection import MOST
from benchmarks.results.records import COLD, Matchup, MatchupResult, Verdict
from benchmarks.results.statistics import MAX_BUSY, launches_to_call, within
from benchmarks.results.wording import asked, headline


@dataclass(frozen=True, slots=True)
class Wide:
    """A group and those of its matchups that are too wide; ``half`` is the widest of them."""

    group: Group
    matchups: tuple[Matchup, ...]
    half: float


@dataclass(frozen=True, slots=True)
class Near:
    """A group with the launches that each of its open matchups is expected to need for a call."""

    group: Group
    missing: Mapping[Matchup, int]


def nearest(
    groups: Iterable[Group],
    results: Mapping[Matchup, MatchupResult],
    made: Mapping[str, int],
) -> Iterator[Near]:
    """The groups in which a call is near; ``made`` counts the launches of each group.

    Cold starts have launches of their own number.
    """
    for group in groups:
        left = MOST - made.get(group.name, 0)
        missing = {m: _missing(results[m]) for m in group.matchups if m.phase != COLD}
        reachable = {m: n for m, n in missing.items() if n is not None and n <= left}
        if reachable:
            yield Near(group, reachable)


def _missing(result: MatchupResult) -> int | None:
    """How many more launches the nearest call needs; ``None`` where none is open or in reach."""
    found = list[int]()
    for verdict in asked(result):
        if verdict.verdict != "no call" or verdict.ratio is None:
            continue
        if verdict.busy:
            found.append(_quiet_missing(result, verdict))
        elif not within(verdict, verdict.margin):
            count = launches_to_call(verdict, verdict.margin)
            found += [count - verdict.launches] if count else []
    return min(found, default=None)


def _quiet_missing(result: MatchupResult, verdict: Verdict) -> int:
    """How many quiet launches bring the busy ones down to the share that may be left out."""
    cases = [case for case in result.cases if case.stack in {verdict.a, verdict.b}]
    busy = {launch.index for case in cases for launch in case.launches if launch.busy}
    return max(1, math.ceil(len(busy) / MAX_BUSY) - verdict.launches)


def half_width(verdict: Verdict) -> float | None:
    """Half the interval of the log-ratio; ``None`` where more launches would not give one."""
    if verdict.ci95 is None or verdict.verdict == "not comparable":
        return None
    low, high = verdict.ci95
    return (math.log(high) - math.log(low)) / 2


def widest(
    groups: Iterable[Group],
    results: Mapping[Matchup, MatchupResult],
    made: Mapping[str, int],
    target: float,
) -> Wide | None:
    """The group with the widest interval beyond ``target`` that may have another launch.

    ``made`` counts the launches of each group. Cold starts have launches of their own number.
    """
    found = []
    for group in groups:
        if made.get(group.name, 0) >= MOST:
            continue
        halves = {m: _half(results[m]) for m in group.matchups if m.phase != COLD}
        wide = {m: half for m, half in halves.items() if half > target}
        if wide:
            found.append(Wide(group, tuple(wide), max(wide.values())))
    return max(found, key=lambda wide: wide.half, default=None)


def _half(result: MatchupResult) -> float:
    """The widest of the pairs that make the headline; 0 where none can be narrowed."""
    halves = (half_width(verdict) for verdict in headline(result))
    return max((half for half in halves if half is not None), default=0.0)
