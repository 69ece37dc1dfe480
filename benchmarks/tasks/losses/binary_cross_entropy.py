"""Binary cross-entropy of logits: the mean over all elements.

With logit ``x`` and target ``t`` an element is ``-t log s(x) - (1 - t) log(1 - s(x))``, where ``s``
is the sigmoid; that is ``softplus(x) - t x`` for any ``t``. The target has the output's shape, but
for axes of length 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tasks.losses._means import keras_mean
from benchmarks.tasks.losses._shapes import as_floats, like_keras, like_torch

SUITS: tuple[str, ...] = ("labels", "values", "like", "constant")


def reference(output: Any, target: Any) -> float:
    """NumPy, in float64."""
    output, target = as_floats(output, target)
    return float(np.mean(np.logaddexp(0.0, output) - target * output))


def torch(output: Any, target: Any) -> Any:
    """PyTorch: its ``binary_cross_entropy_with_logits``."""
    from torch.nn import functional

    return functional.binary_cross_entropy_with_logits(output, like_torch(output, target))


def keras(output: Any, target: Any) -> Any:
    """Keras: its ``binary_crossentropy`` of logits, which clips nothing."""
    from keras import ops

    target = like_keras(output, target)
    return keras_mean(ops.binary_crossentropy(target, output, from_logits=True))


def keras_loss() -> Any:
    """What ``compile`` is given."""
    from keras import losses

    return losses.BinaryCrossentropy(from_logits=True)
