"""Accuracies: how sure one is, and whether two on the same images really differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from benchmarks.results import special

ALPHA = 0.05
Z = NormalDist().inv_cdf(1 - ALPHA / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Two accuracies on the same images: ``a_alone`` images are right in the first only.

    ``share`` is the first accuracy less the second with its 95 % interval ``ci95``; ``p`` that of
    McNemar's exact test.
    """

    a_alone: int
    b_alone: int
    share: float
    ci95: tuple[float, float]
    p: float


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), which is never below 0 or above 1."""
    share, z2 = hits / count, Z * Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return middle - half if hits else 0.0, middle + half if hits < count else 1.0


def mcnemar(a_alone: int, b_alone: int) -> float:
    """The two-sided p of the exact test: each image that one alone has right is a toss of a coin.

    McNemar 1947; the mid-p form is not used, so the test is on the safe side.
    """
    fewer, total = min(a_alone, b_alone), a_alone + b_alone
    return min(1.0, 2 * float(special.bdtr(fewer, total, 0.5))) if total else 1.0


def paired(a_alone: int, b_alone: int, images: int) -> Paired:
    """Two accuracies on the same images; the interval is that of a difference of paired shares."""
    share = (a_alone - b_alone) / images
    spread = math.sqrt(max(0.0, a_alone + b_alone - (a_alone - b_alone) ** 2 / images)) / images
    return Paired(
        a_alone=a_alone,
        b_alone=b_alone,
        share=share,
        ci95=(share - Z * spread, share + Z * spread),
        p=mcnemar(a_alone, b_alone),
    )


def undecided(p_values: Sequence[float]) -> set[int]:
    """The places of those that may be chance: Holm's correction keeps false calls at 5 %.

    Holm 1979: the smallest p is held against 5 % over all of them, the next against 5 % over those
    left, until one fails; that one and all larger ones are undecided.
    """
    ordered = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for rank, place in enumerate(ordered):
        if p_values[place] > ALPHA / (len(ordered) - rank):
            return set(ordered[rank:])
    return set()
