"""What a trained model is judged by, computed in NumPy once for all frameworks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
TOP = 5


@dataclass(frozen=True, slots=True)
class Metric:
    """A name of ``FUNCTIONS``, the output that is judged and the target it is held against."""

    name: str
    output: str
    target: str


def accuracy(output: str = "output", target: str = "label") -> Metric:
    """The share of samples (steps, pixels) whose class has the largest logit."""
    return Metric("accuracy", output, target)


def top_5_accuracy(output: str = "output", target: str = "label") -> Metric:
    """The share of those whose class is among the five largest logits."""
    return Metric("top_5_accuracy", output, target)


def mean_absolute_error(output: str = "output", target: str = "value") -> Metric:
    """The mean of ``|output - target|`` over all values."""
    return Metric("mean_absolute_error", output, target)


def mean_squared_error(output: str = "output", target: str = "value") -> Metric:
    """The mean of ``(output - target)^2`` over all values."""
    return Metric("mean_squared_error", output, target)


def compute(metric: Metric, outputs: Mapping[str, Array], targets: Mapping[str, Array]) -> float:
    """The metric of named outputs and targets, classes on the last axis of an output.

    Raises:
        KeyError: there is no such output or target.
    """
    return FUNCTIONS[metric.name](outputs[metric.output], targets[metric.target])


def _accuracy(output: Array, target: Array) -> float:
    return float((output.argmax(-1) == target).mean())


def _top(output: Array, target: Array) -> float:
    own = np.take_along_axis(output, target[..., None], -1)
    return float(((output > own).sum(-1) < TOP).mean())


def _absolute(output: Array, target: Array) -> float:
    return float(np.abs(output - target.reshape(output.shape)).mean())


def _squared(output: Array, target: Array) -> float:
    return float(np.square(output - target.reshape(output.shape)).mean())


FUNCTIONS: Mapping[str, Callable[[Array, Array], float]] = {
    "accuracy": _accuracy,
    "top_5_accuracy": _top,
    "mean_absolute_error": _absolute,
    "mean_squared_error": _squared,
}
