"""Where one more launch helps most: the matchups whose intervals are still too wide.

Widths are those of the interval over launches. Stopping on a width that is looked at again and
again costs coverage: simulated, 94 % are left of the 95 at ±2 % and 91 % at ±1 %
(``tests/test_stopping.py``); a rule that looked at rounds would keep far less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmarks.request.plan import Group
from benchmarks.request.selection import MOST
from benchmarks.results.records import COLD, Matchup, MatchupResult, Verdict
from benchmarks.results.wording import headline

TARGET = 0.01
"""Half a width that is narrow enough where only a budget was given."""


@dataclass(frozen=True, slots=True)
class Wide:
    """A group and those of its matchups that are too wide; ``half`` is the widest of them."""

    group: Group
    matchups: tuple[Matchup, ...]
    half: float


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

    ``made`` counts the launches of each model. Cold starts have launches of their own number.
    """
    found = []
    for group in groups:
        if made.get(group.model, 0) >= MOST:
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
