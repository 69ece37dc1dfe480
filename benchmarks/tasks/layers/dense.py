"""Dense layers, and the activation functions that Keras layers can hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.tasks.layers import Array, Constants, Kind, Part, Slot, Weights


def _sigmoid(x: Array) -> Array:
    half: Array = 0.5 * (1.0 + np.tanh(0.5 * x))
    return half


def _softmax(x: Array) -> Array:
    powers: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _gelu(x: Array) -> Array:
    error: Array = np.vectorize(math.erf, otypes=[np.float64])(x / math.sqrt(2.0))
    return 0.5 * x * (1.0 + error)


ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "gelu": _gelu,
    "elu": lambda x: np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0))),
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "softmax": _softmax,
}


def activated(x: Array, name: str | None) -> Array:
    """Apply the activation of that name to an array of any shape; ``None`` changes nothing."""
    if name is None:
        return x
    if name not in ACTIVATIONS:
        raise ValueError(f"no reference for the activation {name!r}")
    return ACTIVATIONS[name](x)


def function_name(function: Any) -> str:
    """Name an activation function by its ``__name__``, an object by its class."""
    return str(getattr(function, "__name__", type(function).__name__))


def activation_constants(layer: Any) -> dict[str, Any]:
    """Read ``activation`` from a Keras layer; empty where it is linear."""
    function = getattr(layer, "activation", None)
    name = "linear" if function is None else function_name(function)
    return {} if name == "linear" else {"activation": name}


def present(layer: Any, *slots: Slot) -> tuple[Slot, ...]:
    """Keep those slots whose (undotted) attribute the layer has."""
    return tuple(slot for slot in slots if getattr(layer, slot.attribute, None) is not None)


def _torch_parts(layer: Any) -> tuple[Part, ...]:
    """Read ``weight`` (units, in) as kernel (in, units)."""
    return (
        Part(slots=present(layer, Slot("kernel", "weight", np.transpose, np.transpose), _BIAS)),
    )


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    """Read ``kernel`` (in, units) and the activation inside of the layer."""
    return (
        Part(
            slots=present(layer, Slot("kernel", "kernel"), _BIAS),
            constants=activation_constants(layer),
        ),
    )


def _macs(
    shapes: Mapping[str, tuple[int, ...]],
    _constants: Constants,
    _input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
) -> int:
    """Count one product per output number and input feature."""
    return math.prod(output_shape) * shapes["kernel"][0]


def _linear(weights: Weights, x: Array) -> Array:
    """Map (..., in) to (..., units)."""
    y: Array = x @ weights["kernel"]
    return y + weights["bias"] if "bias" in weights else y


def _reference(weights: Weights, x: Array, constants: Constants) -> Array:
    """Map (n, ..., in) to (n, ..., units)."""
    return activated(_linear(weights, x), constants.get("activation"))


def _bias_left_out(weights: Weights, x: Array, constants: Constants) -> Array:
    return _reference({"kernel": weights["kernel"]}, x, constants)


def _activation(name: str) -> Callable[[Weights, Array, Constants], Array]:
    return lambda weights, x, _constants: activated(_linear(weights, x), name)


_BIAS = Slot("bias", "bias")

KIND = Kind(
    name="Dense",
    torch=("Linear",),
    keras=("Dense",),
    torch_parts=_torch_parts,
    keras_parts=_keras_parts,
    macs=_macs,
    reference=_reference,
    variants={
        "leaves its bias out": _bias_left_out,
        "applies no activation": _activation("linear"),
        "applies relu": _activation("relu"),
        "applies softmax": _activation("softmax"),
    },
)
