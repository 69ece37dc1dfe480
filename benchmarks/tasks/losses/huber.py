"""Huber's loss: the mean over all elements of a square near zero and a line further out.

With ``d = |output - target|``: ``d^2 / 2`` where ``d <= delta``, else ``delta * (d - delta / 2)``.
The target has the output's shape, but for axes of length 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tasks.losses._means import keras_mean
from benchmarks.tasks.losses._shapes import as_floats, like_keras, like_torch

SUITS: tuple[str, ...] = ("values", "like", "labels", "constant")


def reference(output: Any, target: Any, *, delta: float = 1.0) -> float:
    """NumPy, in float64."""
    output, target = as_floats(output, target)
    far = np.abs(output - target)
    return float(np.mean(np.where(far <= delta, far**2 / 2, delta * (far - delta / 2))))


def torch(output: Any, target: Any, *, delta: float = 1.0) -> Any:
    """PyTorch: its ``huber_loss``."""
    from torch.nn import functional

    return functional.huber_loss(output, like_torch(output, target), delta=delta)


def keras(output: Any, target: Any, *, delta: float = 1.0) -> Any:
    """Keras: the formula, whose built-in is a mean of means."""
    from keras import ops

    far = ops.abs(output - like_keras(output, target))
    return keras_mean(ops.where(far <= delta, 0.5 * ops.square(far), delta * (far - 0.5 * delta)))
