"""Labelled pictures: what is predicted of them, and how many are right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.audit.accuracy import Labelled, best, input_shape, judged, share
from benchmarks.audit.child import Bench
from benchmarks.audit.rows import Row
from benchmarks.tasks.data.pictures import SCALINGS

if TYPE_CHECKING:
    from benchmarks.audit.run import Audited

ORDER, LETTER = 8, "h"
TITLE = "accuracy on labelled pictures"
AT_ONCE = 256
"""Pictures of one question, which has a deadline."""


def rows(on: Audited) -> Iterator[Row]:
    """One row where there are pictures; what was predicted is kept."""
    labelled = on.terms.labelled
    if labelled is None:
        return
    if reason := labelled.unfit(on.group.task):
        yield replace(on.row("accuracy"), word="unsupported", reason=reason)
        return
    with on.held("accuracy") as kept:
        kept.append(_measured(on, labelled))
    yield from kept


def _measured(on: Audited, labelled: Labelled) -> Row:
    shape, count = input_shape(on.group.task), len(labelled.of.paths)
    told = {"images": str(labelled.arrays[shape]), "scaling": labelled.scaling}
    preds, probs = list[Any](), list[Any]()
    for first in range(0, count, AT_ONCE):
        last = min(count, first + AT_ONCE)
        found = on.ask("audit", check="accuracy", first=first, last=last, **told)["found"]
        preds += found["preds"]
        probs += found["probs"]
    top1, top5 = labelled.keep(on.group.name, on.stack, preds, probs)
    said = f"top-1 {share(top1, count)}, top-5 {share(top5, count)}"
    size = "x".join(map(str, shape))
    return replace(
        on.row("accuracy"), word="measured", reason=f"{said}, of {count:,} pictures as {size}"
    )


def inside(bench: Bench, *, images: str, first: int, last: int, scaling: str) -> dict[str, Any]:
    """Five classes and their probabilities for each of some pictures, by batches."""
    built = bench.built
    built.program.reset()
    held = np.load(images, mmap_mode="r", allow_pickle=False)
    _, target = built.task.labelled()
    preds, probs = list[Any](), list[Any]()
    for begin in range(first, last, built.batch_size):
        part = held[begin : min(begin + built.batch_size, last)]
        found = bench.predicted(SCALINGS[scaling].scaled(part))
        order, shares = best(found[judged(built.task)], target.count)
        preds += order.tolist()
        probs += shares.tolist()
    return {"preds": preds, "probs": probs}
