"""Layer normalization, and what the other normalizations share with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.tasks.layers import Array, Constants, Kind, Part, Slot, Variant, Weights
from benchmarks.tasks.layers.dense import present

EPSILONS = {"1e-3": 1e-3, "1e-5": 1e-5, "1e-6": 1e-6, "1e-7": 1e-7, "1e-8": 1e-8, "1e-12": 1e-12}

Reference = Callable[[Weights, Array, Constants], Array]


def no_macs(
    _shapes: Mapping[str, tuple[int, ...]],
    _constants: Constants,
    _input_shape: tuple[int, ...],
    _output_shape: tuple[int, ...],
) -> int:
    """Count no multiply-accumulates."""
    return 0


def normalized(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    """Bring the mean over the axes to zero and the variance, biased, to one."""
    centred: Array = x - x.mean(axis=axes, keepdims=True)
    y: Array = centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + epsilon)
    return y


def scaled(x: Array, weights: Weights) -> Array:
    """Multiply by gamma and add beta, those that there are."""
    y = x * weights["gamma"] if "gamma" in weights else x
    return y + weights["beta"] if "beta" in weights else y


def axis_variants(reference: Reference) -> dict[str, Variant]:
    """Give the reference with axis 1 in the place of the last one; weights that fit are applied."""

    def second(weights: Weights, x: Array, constants: Constants) -> Array:
        if x.ndim < 3:  # noqa: PLR2004 - axis 1 is the last one
            return reference(weights, x, constants)
        fits = all(len(held) == x.shape[1] for held in weights.values())
        turned = reference(weights if fits else {}, np.moveaxis(x, 1, -1), constants)
        return np.moveaxis(turned, -1, 1)

    return {"takes axis=1, not the last one": second}


def epsilon_variants(reference: Reference) -> dict[str, Variant]:
    """Give the reference with each epsilon that is in use."""

    def with_epsilon(epsilon: float) -> Variant:
        return lambda weights, x, constants: reference(
            weights, x, {**constants, "epsilon": epsilon}
        )

    return {f"takes epsilon {name}": with_epsilon(value) for name, value in EPSILONS.items()}


def _torch_parts(layer: Any) -> tuple[Part, ...]:
    """Read gamma and beta, shaped as the normalized last axes."""
    return (
        Part(
            slots=present(layer, Slot("gamma", "weight"), Slot("beta", "bias")),
            constants={"epsilon": float(layer.eps), "axes": len(layer.normalized_shape)},
        ),
    )


def axes_count(axis: Any) -> int:
    """Count the axes of a Keras layer's ``axis``, an int or a sequence."""
    return 1 if isinstance(axis, int) else len(axis)


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    return (
        Part(
            slots=present(layer, Slot("gamma", "gamma"), Slot("beta", "beta")),
            constants={"epsilon": float(layer.epsilon), "axes": axes_count(layer.axis)},
        ),
    )


def last_axes(x: Array, count: int) -> tuple[int, ...]:
    """Name the last axes of an array, as many as asked for."""
    return tuple(range(x.ndim - count, x.ndim))


def _reference(weights: Weights, x: Array, constants: Constants) -> Array:
    """Normalize each sample of (n, ..., features) over its last ``axes`` axes."""
    axes = last_axes(x, constants["axes"])
    return scaled(normalized(x, axes, constants["epsilon"]), weights)


def _unbiased(weights: Weights, x: Array, constants: Constants) -> Array:
    """Normalize by the variance with one fewer in its denominator."""
    axes = last_axes(x, constants["axes"])
    count = math.prod(x.shape[axis] for axis in axes)
    centred = x - x.mean(axis=axes, keepdims=True)
    variance = (centred**2).sum(axis=axes, keepdims=True) / max(count - 1, 1)
    return scaled(centred / np.sqrt(variance + constants["epsilon"]), weights)


KIND = Kind(
    name="LayerNorm",
    torch=("LayerNorm",),
    keras=("LayerNormalization",),
    torch_parts=_torch_parts,
    keras_parts=_keras_parts,
    macs=no_macs,
    reference=_reference,
    variants={
        **axis_variants(_reference),
        **epsilon_variants(_reference),
        "divides the variance by n - 1": _unbiased,
    },
)
