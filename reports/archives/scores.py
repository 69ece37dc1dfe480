"""Accuracy from stored predictions: how many images, how sure, and which models really differ."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri

from reports.archives.load import Key, Stored

ALPHA = 0.05
Z = float(ndtri(1 - ALPHA / 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A model on a data set.

    ``top1`` and ``top5`` are images whose class is the first, or one of five; ``tied`` images
    have several classes with the highest probability, of which the first in the file counts.
    """

    key: Key
    images: int
    top1: int
    top5: int
    tied: int

    @property
    def accuracy(self) -> tuple[float, float]:
        """Shares of the images."""
        return self.top1 / self.images, self.top5 / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the first share."""
        return wilson(self.top1, self.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two models on the same images: ``a_alone`` are right in the first only.

    ``share`` is the first accuracy less the second with its 95 % interval ``ci95``; ``p`` that of
    McNemar's exact test.
    """

    a: Key
    b: Key
    a_alone: int
    b_alone: int
    share: float
    ci95: tuple[float, float]
    p: float


def score(
    stored: Stored, labels: NDArray[np.int64], classes: int | None = None
) -> tuple[Score, NDArray[np.uint8]]:
    """The score of a model, and which images it has right, as packed bits.

    ``classes``: how many there are, where that is known.

    Raises:
        ArchiveError: a value that cannot be.
    """
    top1, top5, tied, done, right = 0, 0, 0, 0, list[NDArray[np.bool_]]()
    for preds, probs in stored.rows(classes):
        wanted = labels[done : done + len(preds)]
        first = preds[np.arange(len(preds)), probs.argmax(axis=1)]
        hit = first == wanted
        right.append(hit)
        top1 += int(hit.sum())
        top5 += int((preds == wanted[:, None]).any(axis=1).sum())
        tied += int(((probs == probs.max(axis=1, keepdims=True)).sum(axis=1) > 1).sum())
        done += len(preds)
    made = Score(key=stored.key, images=stored.images, top1=top1, top5=top5, tied=tied)
    return made, np.packbits(np.concatenate(right))


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927): never below 0 or above 1."""
    share, z2 = hits / count, Z * Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return middle - half if hits else 0.0, middle + half if hits < count else 1.0


def mcnemar(a_alone: int, b_alone: int) -> float:
    """The two-sided p of the exact test: each image that one alone has right is a toss of a coin.

    McNemar 1947; the mid-p form is not used, so the test is on the safe side.
    """
    fewer, total = min(a_alone, b_alone), a_alone + b_alone
    return min(1.0, 2 * float(bdtr(fewer, total, 0.5))) if total else 1.0


def difference(a: Score, b: Score, right: Mapping[Key, NDArray[np.uint8]]) -> Difference:
    """Two models on the same images; the interval is that of a difference of paired shares."""
    only_a = int(np.bitwise_count(right[a.key] & ~right[b.key]).sum())
    only_b = int(np.bitwise_count(right[b.key] & ~right[a.key]).sum())
    share = (only_a - only_b) / a.images
    spread = math.sqrt(max(0.0, only_a + only_b - (only_a - only_b) ** 2 / a.images)) / a.images
    return Difference(
        a=a.key,
        b=b.key,
        a_alone=only_a,
        b_alone=only_b,
        share=share,
        ci95=(share - Z * spread, share + Z * spread),
        p=mcnemar(only_a, only_b),
    )


def ranks(scores: Sequence[Score]) -> dict[Key, int]:
    """From 1 for most images right; equal ones share a rank."""
    return {one.key: 1 + sum(other.top1 > one.top1 for other in scores) for one in scores}


def undecided(differences: Sequence[Difference]) -> set[frozenset[Key]]:
    """The pairs that may be equal: Holm's correction over all pairs keeps false calls at 5 %.

    Holm 1979: the smallest p is held against 5 % over all pairs, the next against 5 % over those
    left, until one fails; that one and all larger ones are undecided.
    """
    ordered = sorted(differences, key=lambda d: d.p)
    for index, each in enumerate(ordered):
        if each.p > ALPHA / (len(ordered) - index):
            return {frozenset((d.a, d.b)) for d in ordered[index:]}
    return set()


def every_pair(scores: Sequence[Score], right: Mapping[Key, NDArray[np.uint8]]) -> list[Difference]:
    """All pairs of models of one data set, the better first."""
    ordered = sorted(scores, key=lambda s: (-s.top1, s.key))
    return [difference(a, b, right) for a, b in itertools.combinations(ordered, 2)]
