"""Normalization by the root of the mean square."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tasks.layers import Array, Constants, Kind, Part, Slot, Weights
from benchmarks.tasks.layers.dense import present
from benchmarks.tasks.layers.layer_norm import (
    axes_count,
    epsilon_variants,
    last_axes,
    no_macs,
    normalized,
    scaled,
)

SMALLEST = {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float32": 2.0**-23, "float64": 2.0**-52}


def _torch_epsilon(layer: Any) -> float:
    """Read ``eps``; where it is ``None``, torch takes the machine epsilon of the numbers' dtype.

    The dtype of the weight stands for that of the input, and float32 where there is no weight.
    """
    if layer.eps is not None:
        return float(layer.eps)
    weight = getattr(layer, "weight", None)
    dtype = "float32" if weight is None else str(weight.dtype).rpartition(".")[2]
    return SMALLEST[dtype]


def _torch_parts(layer: Any) -> tuple[Part, ...]:
    return (
        Part(
            slots=present(layer, Slot("gamma", "weight")),
            constants={"epsilon": _torch_epsilon(layer), "axes": len(layer.normalized_shape)},
        ),
    )


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    return (
        Part(
            slots=present(layer, Slot("gamma", "scale")),
            constants={"epsilon": float(layer.epsilon), "axes": axes_count(layer.axis)},
        ),
    )


def _reference(weights: Weights, x: Array, constants: Constants) -> Array:
    """Divide each sample of (n, ..., features) by its root mean square over the last axes."""
    axes = last_axes(x, constants["axes"])
    square = (x**2).mean(axis=axes, keepdims=True)
    return scaled(x / np.sqrt(square + constants["epsilon"]), weights)


def _centred(weights: Weights, x: Array, constants: Constants) -> Array:
    return scaled(normalized(x, last_axes(x, constants["axes"]), constants["epsilon"]), weights)


KIND = Kind(
    name="RMSNorm",
    torch=("RMSNorm",),
    keras=("RMSNormalization",),
    torch_parts=_torch_parts,
    keras_parts=_keras_parts,
    macs=no_macs,
    reference=_reference,
    variants={
        **epsilon_variants(_reference),
        "subtracts the mean (as layer normalization does)": _centred,
    },
)
