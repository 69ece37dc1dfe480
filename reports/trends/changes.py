"""Finds where a series of runs changed its level; says nothing about a single new point.

After Matteson and James (2014, E-divisive), reduced to means: outliers are clipped, the series is
split where that explains most, and a split stays only where a t-test and a margin bear it out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import stdtr

from benchmarks.results.statistics import MIN_MARGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Series = NDArray[np.float64]

MIN_SEGMENT = 3
MAX_P = 1e-4
CANDIDATE_P = 1e-2  # a bump hides in a split of the whole: look below a weak one, then be strict
WINDOW = 5
CLIP_MADS = 3.0


class Change(NamedTuple):
    """A new level from the run ``at`` on; ``log`` is ln(new level / old level)."""

    at: int
    log: float


def change_points(logs: Sequence[float], margin: float = MIN_MARGIN) -> tuple[Change, ...]:
    """Where the level changes by more than ``margin``, in order.

    Args:
        logs: logarithms of one finite value per run, oldest first.
        margin: the smallest relative change of level that counts.
    """
    series = _clipped(np.asarray(logs, dtype=np.float64))
    edges = _candidates(series, 0)
    while edges:
        found = [_step(series, edges, i, margin) for i in range(len(edges))]
        weakest = max(range(len(edges)), key=lambda i: found[i][0])
        if found[weakest][0] <= MAX_P:
            return tuple(Change(e, log) for e, (_, log) in zip(edges, found, strict=True))
        del edges[weakest]  # its neighbours are then judged over longer segments
    return ()


def _step(series: Series, edges: list[int], i: int, margin: float) -> tuple[float, float]:
    """The p-value and the size of one step; p is 1 where the step is within the margin."""
    start, end = edges[i - 1] if i else 0, (*edges, len(series))[i + 1]
    before, after = series[start : edges[i]], series[edges[i] : end]
    log = float(after.mean() - before.mean())
    return (_p_value(before, after) if abs(log) > math.log1p(margin) else 1.0), log


def _candidates(series: Series, start: int) -> list[int]:
    """Every split that is worth a look, best first split, then within its halves."""
    count = len(series)
    if count < 2 * MIN_SEGMENT:
        return []
    sizes = np.arange(MIN_SEGMENT, count - MIN_SEGMENT + 1)
    sums = np.cumsum(series)
    below = sums[sizes - 1]
    gaps = (sums[-1] - below) / (count - sizes) - below / sizes
    cut = int(sizes[np.argmax(gaps**2 * sizes * (count - sizes))])
    if _p_value(series[:cut], series[cut:]) > CANDIDATE_P:
        return []
    return [
        *_candidates(series[:cut], start),
        start + cut,
        *_candidates(series[cut:], start + cut),
    ]


def _p_value(before: Series, after: Series) -> float:
    """Two-sided p of Student's t-test.

    The noise is pooled because it is the machine's: Welch's test, which takes each side's own, has
    two degrees of freedom three runs after a change and could not find one however large.
    """
    n, m = len(before), len(after)
    noise = (n * before.var() + m * after.var()) / (n + m - 2)
    gap = abs(after.mean() - before.mean())
    if noise * (1 / n + 1 / m) <= 0:
        return 0.0 if gap else 1.0
    return float(2 * stdtr(n + m - 2, -gap / math.sqrt(noise * (1 / n + 1 / m))))


def _clipped(series: Series) -> Series:
    """The series with lone outliers moved towards their neighbours.

    A point is held against the runs before it and against those after it: the first points of a
    new level agree with what follows, so that a step stays a step.
    """
    count = len(series)
    if count < 2 * MIN_SEGMENT:
        return series
    before, after = np.empty(count), np.empty(count)
    for i in range(count):
        before[i] = np.median(series[max(0, i - WINDOW + 1) : max(i + 1, MIN_SEGMENT)])
        after[i] = np.median(series[min(i, count - MIN_SEGMENT) : i + WINDOW])
    reach = CLIP_MADS * np.median(np.abs(series - (before + after) / 2))
    return np.clip(series, np.minimum(before, after) - reach, np.maximum(before, after) + reach)
