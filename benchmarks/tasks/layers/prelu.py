"""The rectifier with a learned slope below zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tasks.layers import Array, Constants, Kind, Part, Slot, Weights
from benchmarks.tasks.layers.layer_norm import no_macs


def _torch_parts(_layer: Any) -> tuple[Part, ...]:
    """Read the slopes, (channels,) or (1,)."""
    return (Part(slots=(Slot("alpha", "weight"),)),)


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    """Read the slopes; as (channels,) where all axes before the last share theirs."""
    shape = tuple(int(size) for size in layer.alpha.shape)
    kept = shape[-1:] if all(size == 1 for size in shape[:-1]) else shape
    return (
        Part(
            slots=(
                Slot(
                    "alpha",
                    "alpha",
                    lambda stored: stored.reshape(kept),
                    lambda slopes: slopes.reshape(shape),
                ),
            )
        ),
    )


def _reference(weights: Weights, x: Array, _constants: Constants) -> Array:
    """Multiply the negative numbers of (n, ..., channels) by the slopes."""
    return np.where(x > 0.0, x, weights["alpha"] * x)


def _fixed(slope: float) -> Any:
    return lambda _weights, x, _constants: np.where(x > 0.0, x, slope * x)


KIND = Kind(
    name="PReLU",
    torch=("PReLU",),
    keras=("PReLU",),
    torch_parts=_torch_parts,
    keras_parts=_keras_parts,
    macs=no_macs,
    reference=_reference,
    variants={
        "has the slope 0 below zero (as relu)": _fixed(0.0),
        "has the fixed slope 0.25 below zero": _fixed(0.25),
    },
)
