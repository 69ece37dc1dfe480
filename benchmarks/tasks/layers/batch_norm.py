"""Batch normalization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.tasks.layers import Array, Constants, Kind, Part, Slot, Weights
from benchmarks.tasks.layers.dense import present
from benchmarks.tasks.layers.layer_norm import (
    axis_variants,
    epsilon_variants,
    no_macs,
    normalized,
    scaled,
)


def _torch_parts(layer: Any) -> tuple[Part, ...]:
    """Read gamma, beta and the running statistics; a momentum of m is Keras' 1 - m."""
    return (
        Part(
            slots=present(
                layer,
                Slot("gamma", "weight"),
                Slot("beta", "bias"),
                Slot("mean", "running_mean", buffer=True),
                Slot("variance", "running_var", buffer=True),
            ),
            constants={
                "epsilon": float(layer.eps),
                # Rounded, so that 1 - 0.01 equals the 0.99 that a Keras layer says.
                "momentum": None if layer.momentum is None else round(1.0 - layer.momentum, 12),
            },
        ),
    )


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    return (
        Part(
            slots=present(
                layer,
                Slot("gamma", "gamma"),
                Slot("beta", "beta"),
                Slot("mean", "moving_mean", buffer=True),
                Slot("variance", "moving_variance", buffer=True),
            ),
            constants={"epsilon": float(layer.epsilon), "momentum": float(layer.momentum)},
        ),
    )


def _reference(weights: Weights, x: Array, constants: Constants) -> Array:
    """Normalize (n, ..., channels) by the batch's statistics of each channel, as in training."""
    return scaled(normalized(x, tuple(range(x.ndim - 1)), constants["epsilon"]), weights)


def _inference(weights: Weights, x: Array, constants: Constants) -> Array:
    """Normalize by the stored statistics; as in training where none are stored."""
    if "mean" not in weights or "variance" not in weights:
        return _reference(weights, x, constants)
    spread = np.sqrt(weights["variance"] + constants["epsilon"])
    return scaled((x - weights["mean"]) / spread, weights)


def _unbiased(weights: Weights, x: Array, constants: Constants) -> Array:
    """Normalize by the variance with one fewer in its denominator."""
    axes = tuple(range(x.ndim - 1))
    count = math.prod(x.shape[:-1])
    centred = x - x.mean(axis=axes)
    variance = (centred**2).sum(axis=axes) / max(count - 1, 1)
    return scaled(centred / np.sqrt(variance + constants["epsilon"]), weights)


KIND = Kind(
    name="BatchNorm",
    torch=("BatchNorm1d", "BatchNorm2d", "BatchNorm3d"),
    keras=("BatchNormalization",),
    torch_parts=_torch_parts,
    keras_parts=_keras_parts,
    macs=no_macs,
    reference=_reference,
    variants={
        **axis_variants(_reference),
        **epsilon_variants(_reference),
        "normalizes by its stored mean and variance (as in inference)": _inference,
        "divides the variance by n - 1": _unbiased,
    },
)
