"""Kullback-Leibler divergence of the softmax of logits from given probabilities.

With probabilities ``p`` (the target) and logits ``x`` (the output), both of shape (..., classes):
``sum over classes of p * (log p - log_softmax(x))``, then the mean over all other axes. A ``p`` of
0 adds 0. Targets of standard normal values are no probabilities: a negative ``p`` gives nan.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tasks.losses._means import keras_mean
from benchmarks.tasks.losses._shapes import as_floats, like_keras, like_torch

SUITS: tuple[str, ...] = ("labels",)


def reference(output: Any, target: Any) -> float:
    """NumPy, in float64."""
    output, target = as_floats(output, target)
    log_q = output - np.logaddexp.reduce(output, axis=-1, keepdims=True)
    log_p = np.log(np.where(target == 0, 1.0, target))
    return float(np.mean(np.sum(target * (log_p - log_q), axis=-1)))


def torch(output: Any, target: Any) -> Any:
    """PyTorch: the sum that its ``kl_div`` gives, divided by the number of distributions."""
    from torch.nn import functional

    target = like_torch(output, target)
    log_q = functional.log_softmax(output, dim=-1)
    return functional.kl_div(log_q, target, reduction="sum") * (output.shape[-1] / output.numel())


def keras(output: Any, target: Any) -> Any:
    """Keras: the formula, whose built-in takes probabilities and clips them."""
    from keras import ops

    target = like_keras(output, target)
    log_p = ops.log(ops.where(target == 0, ops.ones_like(target), target))
    log_q = ops.log_softmax(output, axis=-1)
    return keras_mean(ops.sum(target * (log_p - log_q), axis=-1))
