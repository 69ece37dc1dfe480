"""The check that a stack, as it is timed, still computes what the proof proved.

A compiled graph in float32 is not the float64 function, but it may differ by rounding alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.proof.compare import relative_error
from benchmarks.results.records import LayerWork, TimedCheck
from benchmarks.tasks import stored
from benchmarks.tasks.task import Task, TaskError

if TYPE_CHECKING:
    pass

Array = NDArray[Any]
ROUNDOFF = {
    "float64": 2.0**-53,
    "float32": 2.0**-24,
    "tf32": 2.0**-11,
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
}
"""Unit roundoff of each precision: half the distance from 1 to the next number."""
ACCUMULATING = {"tf32": "float32", "float16": "float32", "bfloat16": "float32"}
"""What products of rounded numbers are added up in, and parameters kept in."""
ROUNDINGS = 3
"""Per layer, where layers compute in less than they keep: the weights, the input, the output."""
CONFIDENCE = 8.0
"""Factor of the rounding bound; Higham & Mary (2019) put the chance of a sum exceeding theirs at
2 exp(-factor^2 / 2)."""
MOST = 0.8
"""No bound is wider: no update at all is an error of 1, and one in the wrong direction of 2.

The first update of ResNet-50 in bfloat16 was seen to be off by 0.44 to 0.46, in either framework.
"""


def timed_precision(precision: str, device: str, policy: str) -> str:
    """What products are rounded to: only ``matched`` keeps NVIDIA's TF32 out of float32."""
    tf32 = precision == "float32" and device == "cuda" and policy != "matched"
    return "tf32" if tf32 else precision


def rounding_bound(
    layers: Sequence[LayerWork], task: Task, precision: str, quantity: str, batch: int
) -> float:
    """What the relative error may be when nothing but rounding happened.

    A sum of n terms errs by about sqrt(n) u (Higham & Mary 2019), and a chain of layers adds up:
    ``CONFIDENCE * depth * sqrt(n) * u``, with u the unit roundoff and n the longest sum. A training
    step goes through the layers three times and sums gradients over the batch and its positions.

    Where products are taken of numbers rounded to less than what adds them up, a term brings the
    error u of its factors, whatever n is, and only the sum's own error grows with sqrt(n)
    (Blanchard et al. 2020, "Mixed precision block fused multiply-add": 2 u + n u' at the worst).
    The roundings of the layers are independent, so they add up by their square root:
    ``CONFIDENCE * sqrt(ROUNDINGS * depth) * u``, beside the bound of what adds up. And of the ReLUs
    and maxima a share of about u lies within a rounding of its switch, and sends its gradient
    elsewhere: sqrt(2 u) of the norm of an update.

    For a deep network in a low precision this exceeds 1: a check uses no more than ``MOST`` of it.
    """
    depth = max(1, len(layers))
    terms = max((layer.terms for layer in layers), default=1)
    if quantity != "output":
        positions = max(math.prod(one.shape[:2]) for one in task.inputs.values())
        depth, terms = 3 * depth, max(terms, batch * positions)
    summed = CONFIDENCE * depth * math.sqrt(terms) * ROUNDOFF[_kept(precision)]
    if precision not in ACCUMULATING:
        return summed
    roundoff = ROUNDOFF[precision]
    switched = math.sqrt(2 * roundoff) if quantity == "update" else 0.0
    return summed + CONFIDENCE * math.sqrt(ROUNDINGS * depth) * roundoff + switched


def _kept(precision: str) -> str:
    """What sums and parameters are kept in."""
    return ACCUMULATING.get(precision, precision)


def timed_checks(
    layers: Sequence[LayerWork],
    task: Task,
    stack: str,
    *,
    precision: str,
    batch: int,
    reference: Path,
    written: Path,
) -> Iterator[TimedCheck]:
    """In the parent: a timed stack against the float64 reference, quantity by quantity."""
    right, left = stored.read(reference), _readable(written)
    for quantity, keys in by_quantity(right).items():
        error = math.inf
        bound = rounding_bound(layers, task, precision, quantity, batch)
        if all(key in left and left[key].shape == right[key].shape for key in keys):
            a, b = (np.concatenate([np.ravel(side[k]) for k in keys]) for side in (left, right))
            error, moved = relative_error(a, b), float(np.linalg.norm(b))
            if quantity == "update" and moved > 0:
                # It is the difference of stored weights, each rounded to its own size.
                sizes = [float(right[f"size/{k.partition('/')[2]}"]) for k in keys]
                bound += 2 * ROUNDOFF[_kept(precision)] * math.hypot(*sizes) / moved
        yield TimedCheck(stack=stack, quantity=quantity, error=error, bound=min(bound, MOST))


def _readable(path: Path) -> stored.Arrays:
    """What a stack wrote; nothing where the code of its model had it write something else."""
    try:
        return stored.read(path)
    except TaskError:
        return {}


def by_quantity(keys: Iterable[str]) -> dict[str, list[str]]:
    """The keys of stored arrays, ``quantity/name`` or ``quantity``, by their quantity."""
    grouped: dict[str, list[str]] = {}
    for key in keys:
        if not key.startswith("size/"):
            grouped.setdefault(key.split("/", 1)[0], []).append(key)
    return grouped
