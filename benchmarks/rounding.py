"""The check that a stack, as it is timed, still computes what the proof proved.

A compiled graph in float32 is not the float64 function, but it may differ by rounding alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import weights
from benchmarks.models._spec import ModelSpec
from benchmarks.parity import Array, by_quantity, relative_error
from benchmarks.records import TimedCheck

if TYPE_CHECKING:
    from benchmarks.phases._protocol import Session

PARTS = ("inference", "training")
"""What a timed stack is checked on, each by itself, so that a failure of one spares the other."""
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
SKIPPED = 16
"""Steps that dynamic loss scaling may skip, halving its scale of 2^15 each time, to 1."""
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


def write_check(session: Session, path: Path, part: str, *, scaled: bool = False) -> None:
    """In a worker: write what the timed callables compute from the start, to ``path`` (npz).

    ``part`` is one of ``PARTS``; training with dropout has nothing to compare and writes nothing.
    Where losses are ``scaled``, the step that counts is the first one that was not skipped because
    a gradient overflowed; the scale found stays.
    """
    adapter, model, spec = session.adapter, session.model, session.spec
    adapter.reset(model, session.weights)
    arrays: dict[str, Array] = {}
    if part == "inference":
        adapter.set_training(model, training=False)
        arrays["output"] = adapter.numpy(adapter.forward(model, session.batch))
    elif not spec.dropout:
        adapter.set_training(model, training=True)
        trained = [f"{la.name}.{p}" for la in spec.layers if la.trainable for p in la.parameters]
        for _ in range(SKIPPED if scaled else 1):
            arrays["loss"] = adapter.numpy(adapter.train_step(model, session.batch))
            after = adapter.export(model)
            updates = {f"update/{name}": after[name] - session.weights[name] for name in trained}
            if any(update.any() for update in updates.values()):
                break
        arrays |= updates
    adapter.reset(model, session.weights)
    np.savez(path, allow_pickle=False, **arrays)


def rounding_bound(spec: ModelSpec, precision: str, quantity: str, batch: int) -> float:
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
    depth = len(spec.layers)
    terms = max(layer.reduction for layer in spec.layers)
    if quantity != "output":
        depth, terms = 3 * depth, max(terms, batch * math.prod(spec.input_shape[:2]))
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
    spec: ModelSpec,
    stack: str,
    *,
    precision: str,
    batch: int,
    seed: int,
    reference: Path,
    written: Path,
) -> Iterator[TimedCheck]:
    """In the parent: a timed stack against the float64 reference, quantity by quantity."""
    with np.load(reference) as right, np.load(written) as left:
        for quantity, keys in by_quantity(right).items():
            error, bound = math.inf, rounding_bound(spec, precision, quantity, batch)
            if all(key in left and left[key].shape == right[key].shape for key in keys):
                a, b = (np.concatenate([np.ravel(side[k]) for k in keys]) for side in (left, right))
                error, moved = relative_error(a, b), float(np.linalg.norm(b))
                if quantity == "update" and moved > 0:
                    # It is the difference of stored weights, each rounded to its own size.
                    start = weights.generate(spec.layers, seed)
                    sizes = [np.linalg.norm(start[key.removeprefix("update/")]) for key in keys]
                    bound += 2 * ROUNDOFF[_kept(precision)] * math.hypot(*sizes) / moved
            yield TimedCheck(stack=stack, quantity=quantity, error=error, bound=min(bound, MOST))
