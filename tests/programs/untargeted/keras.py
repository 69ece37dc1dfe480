"""A model without a target in Keras: it takes its inputs as a list."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers, ops

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    given = [keras.Input(one.shape) for one in task.inputs.values()]
    mean = layers.Dense(3, name="first")(given[0])
    last = layers.Dense(2, name="second")(layers.Add()([mean, given[1]]))
    return keras.Model(given, [last, mean])


def loss(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> Any:
    """Both outputs are to be small; one scalar, and no mapping."""
    assert not targets
    return ops.mean(ops.square(outputs["output_0"])) + ops.mean(ops.abs(outputs["output_1"]))
