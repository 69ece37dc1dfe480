"""Mean squared error: the mean over all elements of ``(output - target)^2``.

The target has the output's shape, but for axes of length 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tasks.losses._means import keras_mean
from benchmarks.tasks.losses._shapes import as_floats, like_keras, like_torch

SUITS: tuple[str, ...] = ("values", "like", "labels", "constant")


def reference(output: Any, target: Any) -> float:
    """NumPy, in float64."""
    output, target = as_floats(output, target)
    return float(np.mean((output - target) ** 2))


def torch(output: Any, target: Any) -> Any:
    """PyTorch: its ``mse_loss``."""
    from torch.nn import functional

    return functional.mse_loss(output, like_torch(output, target))


def keras(output: Any, target: Any) -> Any:
    """Keras: the formula, whose built-in is a mean of means."""
    from keras import ops

    return keras_mean(ops.square(output - like_keras(output, target)))


def keras_loss() -> Any:
    """What ``compile`` is given."""
    from keras import losses

    return losses.MeanSquaredError()
