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
ROUNDOFF = {"float32": 2.0**-24, "float64": 2.0**-53, "tf32": 2.0**-11}
"""Unit roundoff of each precision."""
CONFIDENCE = 8.0
"""Factor of the rounding bound; Higham & Mary (2019) put the chance of a sum exceeding theirs at
2 exp(-factor^2 / 2)."""


def timed_precision(precision: str, device: str, policy: str) -> str:
    """What products are rounded to: only ``matched`` keeps NVIDIA's TF32 out of float32."""
    tf32 = precision == "float32" and device == "cuda" and policy != "matched"
    return "tf32" if tf32 else precision


def write_check(session: Session, path: Path, part: str) -> None:
    """In a worker: write what the timed callables compute from the start, to ``path`` (npz).

    ``part`` is one of ``PARTS``; training with dropout has nothing to compare and writes nothing.
    """
    adapter, model, spec = session.adapter, session.model, session.spec
    adapter.reset(model, session.weights)
    arrays: dict[str, Array] = {}
    if part == "inference":
        adapter.set_training(model, training=False)
        arrays["output"] = adapter.numpy(adapter.forward(model, session.batch))
    elif not spec.dropout:
        adapter.set_training(model, training=True)
        arrays["loss"] = adapter.numpy(adapter.train_step(model, session.batch))
        after = adapter.export(model)
        moved = [f"{la.name}.{p}" for la in spec.layers if la.trainable for p in la.parameters]
        arrays |= {f"update/{name}": after[name] - session.weights[name] for name in moved}
    adapter.reset(model, session.weights)
    np.savez(path, allow_pickle=False, **arrays)


def rounding_bound(spec: ModelSpec, precision: str, quantity: str, batch: int) -> float:
    """What the relative error may be when nothing but rounding happened.

    A sum of n terms errs by about sqrt(n) u (Higham & Mary 2019), and a chain of layers adds up:
    ``CONFIDENCE * depth * sqrt(n) * u``, with u the unit roundoff and n the longest sum. A training
    step goes through the layers three times and sums gradients over the batch and its positions.
    """
    depth = len(spec.layers)
    terms = max(layer.reduction for layer in spec.layers)
    if quantity != "output":
        depth, terms = 3 * depth, max(terms, batch * math.prod(spec.input_shape[:2]))
    return CONFIDENCE * depth * math.sqrt(terms) * ROUNDOFF[precision]


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
                    bound += 2 * ROUNDOFF[precision] * math.hypot(*sizes) / moved
            yield TimedCheck(stack=stack, quantity=quantity, error=error, bound=bound)
