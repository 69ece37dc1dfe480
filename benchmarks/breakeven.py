"""When compiling pays: the training step at which a compiled stack overtakes its plain sibling."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from benchmarks.plan import COLD
from benchmarks.records import BreakEven, Case, ColdStart, MatchupResult, Stack

STEP = "train_step"


def break_even(
    cold: ColdStart, against: ColdStart, step_s: float, against_step_s: float
) -> int | None:
    """The first step after which the stack's total time is the smaller one.

    A start costs ``first_step_s`` and what came before it; each further step costs ``step_s``. With
    n steps after the first, ``cold + n step < against + n against_step`` gives n.

    Returns:
        The number of the step, at least 1; ``None`` where it never comes.
    """
    head_start_s = cold.total_s - against.total_s
    gain_s = against_step_s - step_s
    if head_start_s <= 0:
        return 1 if gain_s >= 0 else None
    return 1 + math.ceil(head_start_s / gain_s) if gain_s > 0 else None


def found(results: Sequence[MatchupResult], plain: Iterable[Stack]) -> dict[str, list[BreakEven]]:
    """Break-even points by the id of the matchup of their cold start.

    ``plain`` names the stack of each adapter that compiles least; the others are held against it.
    """
    siblings = {stack.adapter: stack for stack in plain}
    steps = {r.matchup.model: r for r in results if r.matchup.phase == STEP}
    points: dict[str, list[BreakEven]] = {}
    for result in results:
        if result.matchup.phase != COLD or result.matchup.model not in steps:
            continue
        starts = {case.stack: case for case in result.cases}
        timed = {case.stack: case for case in steps[result.matchup.model].cases}
        for name, case in starts.items():
            stack = Stack.parse(name)
            sibling = siblings.get(stack.adapter)
            if sibling is None or sibling == stack.plain:
                continue
            other = str(Stack(sibling.adapter, sibling.mode, stack.label))
            if other in starts and other in timed and name in timed:
                points.setdefault(result.matchup.id, []).extend(
                    _points(case, starts[other], timed[name], timed[other])
                )
    return points


def _points(start: Case, other: Case, timed: Case, other_timed: Case) -> Iterable[BreakEven]:
    """With the compiler's cache empty, and where it was measured too, with a full one."""
    if any(case.status != "ok" for case in (start, other, timed, other_timed)):
        return
    step_s, other_step_s = median(timed.samples_s), median(other_timed.samples_s)
    against = _typical(other.cold_starts, "empty")
    for cache in ("empty", "warm"):
        cold = _typical(start.cold_starts, cache)
        if cold and against:
            step = break_even(cold, against, step_s, other_step_s)
            yield BreakEven(stack=start.stack, against=other.stack, cache=cold.cache, step=step)


def _typical(starts: Sequence[ColdStart], cache: str) -> ColdStart | None:
    """The start whose total is the (lower) median of its kind."""
    of = sorted((s for s in starts if s.cache == cache), key=lambda start: start.total_s)
    return of[(len(of) - 1) // 2] if of else None
