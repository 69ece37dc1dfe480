"""Functions without weights that lie between layers, known by what they compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.proof.compare import relative_error
from benchmarks.results.records import Cause

Array = NDArray[Any]
CLOSE = 1e-7
"""Relative L2 error up to which recorded tensors count as equal."""


def gelu_erf(x: Array) -> Array:
    """``x * Phi(x)``."""
    from scipy.special import erf

    return np.asarray(0.5 * x * (1.0 + erf(x / math.sqrt(2.0))))


def gelu_tanh(x: Array) -> Array:
    """GELU's approximation by a hyperbolic tangent (Hendrycks & Gimpel 2016)."""
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


def softmax(x: Array) -> Array:
    """Over the last axis."""
    raised = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
FUNCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "GELU (erf)": gelu_erf,
    "GELU (tanh)": gelu_tanh,
    "ReLU": lambda x: np.maximum(x, 0),
    "ReLU6": lambda x: np.clip(x, 0, 6),
    "SiLU": lambda x: np.asarray(x / (1 + np.exp(-x))),
    "sigmoid": lambda x: np.asarray(1 / (1 + np.exp(-x))),
    "tanh": np.tanh,
    "softmax": softmax,
    "log-softmax": lambda x: np.log(softmax(x)),
    "ELU": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "leaky ReLU (0.01)": lambda x: np.where(x > 0, x, 0.01 * x),
    "leaky ReLU (0.2)": lambda x: np.where(x > 0, x, 0.2 * x),
    "leaky ReLU (0.3)": lambda x: np.where(x > 0, x, 0.3 * x),
    "softplus": lambda x: np.logaddexp(x, 0),
    "SELU": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    "Mish": lambda x: np.asarray(x * np.tanh(np.logaddexp(x, 0))),
    "Hardswish": lambda x: np.asarray(x * np.clip(x + 3, 0, 6) / 6),
    "hard sigmoid": lambda x: np.asarray(np.clip(x + 3, 0, 6) / 6),
    "hard tanh": lambda x: np.clip(x, -1, 1),
    "softsign": lambda x: np.asarray(x / (1 + np.abs(x))),
    "no function at all": lambda x: x,
}
IN_KERAS = {
    "GELU (erf)": "keras.activations.gelu(x, approximate=False)",
    "GELU (tanh)": "keras.activations.gelu(x, approximate=True)",
    "ReLU": 'activation="relu"',
    "ReLU6": "layers.ReLU(max_value=6)",
    "SiLU": 'activation="silu"',
    "sigmoid": 'activation="sigmoid"',
    "tanh": 'activation="tanh"',
    "softmax": 'activation="softmax"',
    "log-softmax": 'activation="log_softmax"',
    "ELU": 'activation="elu"',
    "softplus": 'activation="softplus"',
    "SELU": 'activation="selu"',
    "Mish": 'activation="mish"',
    "Hardswish": 'activation="hard_silu"',
    "hard sigmoid": 'activation="hard_sigmoid"',
    "hard tanh": 'activation="hard_tanh"',
    "softsign": 'activation="softsign"',
    "leaky ReLU (0.01)": "layers.LeakyReLU(negative_slope=0.01)",
    "leaky ReLU (0.2)": "layers.LeakyReLU(negative_slope=0.2)",
    "leaky ReLU (0.3)": "layers.LeakyReLU(negative_slope=0.3)",
}
"""How Keras writes what PyTorch computes, by the names of ``FUNCTIONS``."""


def named(given: Any, made: Any) -> str | None:
    """The name of the function that makes the one of the other; ``None`` where none is known."""
    if given is None or made is None or np.shape(given) != np.shape(made):
        return None
    with np.errstate(all="ignore"):
        return next((n for n, f in FUNCTIONS.items() if same(f(given), made)), None)


def applied(activation: str, x: Any) -> Any:
    """What an activation of Keras', by its name there, makes of a tensor; ``None``: not known."""
    name = next((n for n, line in IN_KERAS.items() if line == f'activation="{activation}"'), None)
    return FUNCTIONS[name](x) if name else None


def same(a: Any, b: Any) -> bool:
    """Whether two tensors are equal; all states of a sequence against its last one count, too."""
    if a is None or b is None:
        return False
    if np.ndim(a) == 3 and np.ndim(b) == 2:  # noqa: PLR2004 - all states against the last one
        a = a[:, -1]
    elif np.ndim(b) == 3 and np.ndim(a) == 2:  # noqa: PLR2004
        b = b[:, -1]
    return relative_error(a, b) <= CLOSE


def differing(where: str, told: tuple[str, str]) -> Cause:
    """One function on the PyTorch side, another one on the Keras side."""
    cause = f"{told[0]} on the PyTorch side, {told[1]} on the Keras side"
    if all(one.startswith("GELU") for one in told):
        forms = [one.partition("(")[2].rstrip(")") for one in told]
        cause = f"GELU: {forms[0]} against {forms[1]}"
    fix = IN_KERAS.get(told[0], f"leave {told[1]} out of the Keras side")
    return Cause(where=where, cause=cause, torch=told[0], keras=told[1], fix=fix)
