"""Compares what two twins computed: every output, loss, gradient and weight after training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.frameworks.description import Arrays
from benchmarks.tasks.task import Batch

TOLERANCE = 1e-9
"""Largest relative L2 error of two honest twins in float64."""
FLOOR = 1e-4
"""A tensor whose norm is below this share of the largest of its quantity is compared with that
share: the relative error of a gradient that is zero but for rounding means nothing."""
LARGER = (8.0, 4.0, 2.0)
"""How many times as large inputs, scales and tables are in the pass that looks for what only large
values show: ReLU6 is ReLU up to 6. It is the first at which rounding alone does not show: where
activations saturate, a difference grows from layer to layer."""
NUDGE = 2.0**-50
"""Share by which weights are off to find whether rounding alone shows: 8 roundings of float64."""
LARGER_TOLERANCE = 1e-6
"""Largest relative L2 error of the outputs of that pass: large values round more."""
LARGER_WEIGHTS = ("gamma", "table")
"""Names of the weights that are larger in it."""
QUANTITIES = {
    "output": "output",
    "postprocess": "postprocessed",
    "choice": "choices",
    "token": "generated_tokens",
    "cached": "generated_logits",
    "loss": "loss",
    "gradient": "gradients",
    "input_gradient": "input_gradients",
    "after": "after_steps",
}
CACHE = "cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Largest relative error by quantity, and what one side lacks or does not move.

    The quantity ``cache`` is what either side generates with its cache against without it.

    ``missing``: keys of gradients that only the other side has, by side. ``still``: keys of trained
    weights whose gradient is zero or absent on both sides. ``worst``: the key of each error.
    """

    errors: dict[str, float]
    worst: dict[str, str]
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    still: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether everything compared lies within ``TOLERANCE``; a NaN does not."""
        return all(error <= TOLERANCE for error in self.errors.values())


def compare(torch: Arrays, keras: Arrays, trained: Mapping[str, bool]) -> Compared:
    """Compare two traces, weights after training included.

    Args:
        torch: of the PyTorch twin: ``description.Arrays`` and ``after/<optimizer>/<key>``.
        keras: of the Keras twin.
        trained: by canonical key, whether both sides train it.
    """
    errors, worst = dict[str, float](), dict[str, str]()
    groups: dict[str, list[str]] = {}
    for key in dict.fromkeys([*torch, *keras]):
        head = key.split("/", 1)[0]
        if head in QUANTITIES:
            group = "/".join(key.split("/")[:2]) if head == "after" else head
            groups.setdefault(group, []).append(key)
    for group, keys in groups.items():
        name = QUANTITIES[group.split("/", 1)[0]]
        name = f"{name}_{group.split('/')[1]}" if "/" in group else name
        sizes = [float(np.linalg.norm(torch[k])) for k in keys if k in torch]
        floor = FLOOR * max(sizes, default=0.0)
        for key in keys:
            error = relative_error(torch.get(key), keras.get(key), floor)
            if not error <= errors.get(name, -1.0):
                errors[name], worst[name] = error, key
    for side, arrays in (("torch", torch), ("keras", keras)):
        for key in (key for key in arrays if key.startswith("cached/")):
            error = relative_error(arrays[key], arrays.get(key.replace("cached", "whole")))
            if not error <= errors.get(CACHE, -1.0):
                errors[CACHE], worst[CACHE] = error, f"{key} of {side}"
    slopes = {key: f"gradient/{key}" for key, learns in trained.items() if learns}
    missing = {
        side: tuple(k for k, g in slopes.items() if g not in mine and g in other)
        for side, mine, other in (("torch", torch, keras), ("keras", keras, torch))
    }
    still = tuple(
        k
        for k, g in slopes.items()
        if not any(g in side and np.any(side[g]) for side in (torch, keras))
    )
    return Compared(errors=errors, worst=worst, missing=missing, still=still)


def larger(
    values: Mapping[str, Any], keys: Mapping[str, Mapping[str, Any]], times: float
) -> dict[str, Any]:
    """Canonical weights with scales and tables some times as large, by their names."""
    return {
        key: held * times if keys[key]["name"] in LARGER_WEIGHTS else held
        for key, held in values.items()
    }


def larger_batch(batch: Batch, times: float) -> Batch:
    """The same batch, its inputs that are no ids or masks some times as large."""
    return Batch(
        {n: held * times if held.dtype.kind == "f" else held for n, held in batch.inputs.items()},
        batch.targets,
    )


def nudged(values: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The same weights, each off by a share of it, drawn with the deviation ``NUDGE``."""
    rng = np.random.default_rng(seed)
    return {
        key: held * (1 + NUDGE * rng.standard_normal(held.shape)) for key, held in values.items()
    }


def larger_error(torch: Arrays, keras: Arrays) -> float:
    """The largest error of an output of larger values; one that overflows does not count."""
    pairs = [(held, keras.get(key)) for key, held in torch.items() if key.startswith("output/")]
    return max(
        (
            relative_error(a, b)
            for a, b in pairs
            if b is not None and np.isfinite(a).all() and np.isfinite(b).all()
        ),
        default=0.0,
    )


def relative_error(a: Any, b: Any, floor: float = 0.0) -> float:
    """``|a - b| / max(|a|, |b|, floor)`` in the L2 norm; infinite where shapes differ or one lacks.

    Axes of length 1 do not count.
    """
    if a is None or b is None:
        return math.inf
    a, b = np.squeeze(a), np.squeeze(b)
    if a.shape != b.shape:
        return math.inf
    with np.errstate(invalid="ignore", over="ignore"):
        apart = float(np.linalg.norm(a - b))
        scale = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)), floor)
    if math.isnan(apart):
        return math.inf
    return apart / scale if scale > 0 else apart
