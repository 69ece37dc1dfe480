"""Cross-entropy of logits over the last axis: a mean over all other axes, weighted by class.

The output has shape (..., classes), the target the shape (...) of class ids. With ``l = log_softmax
(output)``, smoothing ``s``, ``K`` classes and weights ``w`` (1 where none are given), the position
of class ``y`` counts ``(1 - s) * w[y] * -l[y] + s / K * sum over classes c of w[c] * -l[c]``. The
loss is the sum over positions divided by the sum of ``w[y]`` over positions, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.tasks.losses._means import keras_mean
from benchmarks.tasks.losses._shapes import require_same

FLAT = 2
"""Axes of the logits of one class for each sample."""
SUITS: tuple[str, ...] = ("classes",)


def reference(
    output: Any,
    target: Any,
    *,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
) -> float:
    """NumPy, in float64."""
    output, target = np.asarray(output, np.float64), np.asarray(target)
    require_same(output.shape[:-1], target.shape)
    classes = output.shape[-1]
    ids = target.reshape(-1)
    lost = np.logaddexp.reduce(output, axis=-1, keepdims=True) - output
    lost = lost.reshape(-1, classes)
    weights = np.ones(classes) if class_weights is None else np.asarray(class_weights, np.float64)
    right = weights[ids] * lost[np.arange(len(ids)), ids]
    spread = (lost @ weights) / classes
    total = (1 - label_smoothing) * right.sum() + label_smoothing * spread.sum()
    return float(total / weights[ids].sum())


def torch(
    output: Any,
    target: Any,
    *,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
) -> Any:
    """PyTorch: its ``cross_entropy``, which wants classes on axis 1.

    A contiguous output is flattened to (positions, classes) and any other has its last axis moved:
    neither copies the logits.
    """
    from torch.nn import functional

    weights = None if class_weights is None else output.new_tensor(class_weights)
    if output.ndim == FLAT and target.ndim == 1:  # the usual case, whose shapes PyTorch checks
        return functional.cross_entropy(
            output, target.long(), weight=weights, label_smoothing=label_smoothing
        )
    require_same(output.shape[:-1], target.shape)
    if output.is_contiguous():
        logits, ids = output.view(-1, output.shape[-1]), target.reshape(-1)
    else:
        logits, ids = output.movedim(-1, 1), target.reshape(output.shape[:-1])
    return functional.cross_entropy(
        logits, ids.long(), weight=weights, label_smoothing=label_smoothing
    )


def keras(
    output: Any,
    target: Any,
    *,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
) -> Any:
    """Keras: its ``sparse_categorical_crossentropy`` of logits, and the formula for the options."""
    from keras import ops

    require_same(output.shape[:-1], target.shape)
    ids = ops.reshape(target, ops.shape(output)[:-1])
    lost = ops.sparse_categorical_crossentropy(ids, output, from_logits=True)
    weights, counted = None, None
    if class_weights is not None:
        weights = ops.convert_to_tensor(class_weights, dtype=output.dtype)
        counted = ops.take(weights, ids, axis=0)
        lost = lost * counted
    if label_smoothing:
        spread = -ops.log_softmax(output, axis=-1)
        spread = keras_mean(spread if weights is None else spread * weights, axis=-1)
        lost = (1 - label_smoothing) * lost + label_smoothing * spread
    return keras_mean(lost) if counted is None else ops.sum(lost) / ops.sum(counted)


def keras_loss(**options: Any) -> Any:
    """What ``compile`` is given; none for the options, which Keras has not for class ids."""
    from keras import losses

    return None if options else losses.SparseCategoricalCrossentropy(from_logits=True)
