"""Accuracy from stored predictions: how many images, how sure, and which models really differ."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import accuracy
from reports.archives.load import Key, Stored


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
        return accuracy.wilson(self.top1, self.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference(accuracy.Paired):
    """Two models on the same images."""

    a: Key
    b: Key


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


def difference(a: Score, b: Score, right: Mapping[Key, NDArray[np.uint8]]) -> Difference:
    """Two models on the same images."""
    only_a = int(np.bitwise_count(right[a.key] & ~right[b.key]).sum())
    only_b = int(np.bitwise_count(right[b.key] & ~right[a.key]).sum())
    return Difference(a=a.key, b=b.key, **asdict(accuracy.paired(only_a, only_b, a.images)))


def ranks(scores: Sequence[Score]) -> dict[Key, int]:
    """From 1 for most images right; equal ones share a rank."""
    return {one.key: 1 + sum(other.top1 > one.top1 for other in scores) for one in scores}


def undecided(differences: Sequence[Difference]) -> set[frozenset[Key]]:
    """The pairs that may be equal, all pairs considered."""
    left = accuracy.undecided([each.p for each in differences])
    return {frozenset((differences[i].a, differences[i].b)) for i in left}


def every_pair(scores: Sequence[Score], right: Mapping[Key, NDArray[np.uint8]]) -> list[Difference]:
    """All pairs of models of one data set, the better first."""
    ordered = sorted(scores, key=lambda s: (-s.top1, s.key))
    return [difference(a, b, right) for a, b in itertools.combinations(ordered, 2)]
