"""Optimizers, each with one stated arithmetic that every framework is set to compute.

In all of them weight decay is decoupled (``w <- w - rate * decay * w`` before the update;
Loshchilov & Hutter 2019) and gradients are clipped by their global norm:
``g <- g * min(1, clip / norm)``. Every constant is rounded to float32, because Keras does so
whatever the precision of the variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ctypes import c_float
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.schedules import Schedule


@dataclass(frozen=True, slots=True)
class Optimizer:
    """What all optimizers share.

    ``clip`` is the norm to clip at (0: none). With a ``schedule`` each step takes its share of
    ``learning_rate``, which is the ``rate`` of the formulas.
    """

    learning_rate: float = 0.01
    weight_decay: float = 0.0
    clip: float = 0.0
    schedule: Schedule | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, float):
                object.__setattr__(self, one.name, c_float(value).value)

    def rate(self, step: int) -> float:
        """The learning rate of a step; ``step`` counts those before it."""
        return self.learning_rate * (1.0 if self.schedule is None else self.schedule.share(step))


@dataclass(frozen=True, slots=True)
class SGD(Optimizer):
    """``v <- momentum * v - rate * g; w <- w + v``.

    With ``nesterov``: ``w <- w + momentum * v - rate * g``.
    """

    momentum: float = 0.0
    nesterov: bool = False


@dataclass(frozen=True, slots=True)
class Adam(Optimizer):
    """Adam in the reordered form of Kingma & Ba 2015, section 2 (AdamW where weight decay is set).

    ``w <- w - rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)``.
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7


@dataclass(frozen=True, slots=True)
class RMSprop(Optimizer):
    """``v <- rho * v + (1 - rho) * g^2; w <- w - rate * g / sqrt(v + epsilon)``."""

    learning_rate: float = 0.001
    rho: float = 0.9
    epsilon: float = 1e-7


@dataclass(frozen=True, slots=True)
class Own(Optimizer):
    """The twins define it: PyTorch's ``optimizer(parameters)``, Keras' ``optimizer()``.

    Both are taken as they are, but for Adam's epsilon: PyTorch's is set so that its step is that of
    Keras (see ``Adam``), which is a finding.
    """


def named(name: str) -> Optimizer:
    """The optimizer of that name with its usual constants.

    Raises:
        ValueError: there is none of that name; the text names those there are.
    """
    known = {
        "sgd": SGD(0.01, momentum=0.9),
        "adam": Adam(),
        "adamw": Adam(weight_decay=0.004),
        "rmsprop": RMSprop(),
        "own": Own(),
    }
    if name not in known:
        raise ValueError(f"there is no optimizer {name!r} (there: {', '.join(known)})")
    return known[name]


def reference(
    optimizer: Optimizer,
    weights: Mapping[str, NDArray[Any]],
    gradients: Sequence[Mapping[str, NDArray[Any]]],
) -> dict[str, NDArray[np.float64]]:
    """The weights after one step for each of ``gradients``, in NumPy's float64.

    Each step clips the gradients of all weights by their common norm, decays the weights, and then
    updates each of them. The state (velocity, moments) starts at zero.

    Raises:
        TypeError: the optimizer's arithmetic is not one of those stated here.
    """
    moved = {name: np.array(value, np.float64) for name, value in weights.items()}
    first = {name: np.zeros_like(value) for name, value in moved.items()}
    second = {name: np.zeros_like(value) for name, value in moved.items()}
    for step, given in enumerate(gradients, start=1):
        rate = optimizer.rate(step - 1)
        slopes = {name: np.asarray(given[name], np.float64) for name in moved}
        norm = np.sqrt(sum(float(np.sum(g**2)) for g in slopes.values()))
        scale = optimizer.clip / norm if 0 < optimizer.clip < norm else 1.0
        for name, w in moved.items():
            g, m, v = slopes[name] * scale, first[name], second[name]
            w[...] -= rate * optimizer.weight_decay * w
            match optimizer:
                case SGD(momentum=momentum, nesterov=nesterov):
                    m[...] = momentum * m - rate * g
                    w[...] += momentum * m - rate * g if nesterov else m
                case Adam(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon):
                    m[...] = beta_1 * m + (1 - beta_1) * g
                    v[...] = beta_2 * v + (1 - beta_2) * g**2
                    corrected = rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
                    w[...] -= corrected * m / (np.sqrt(v) + epsilon)
                case RMSprop(rho=rho, epsilon=epsilon):
                    v[...] = rho * v + (1 - rho) * g**2
                    w[...] -= rate * g / np.sqrt(v + epsilon)
                case _:
                    raise TypeError(f"no stated arithmetic for {type(optimizer).__name__}")
    return moved
