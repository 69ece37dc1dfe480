"""A regression with a loss of its own in Keras."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers, ops

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["features"].shape)
    x = layers.Dense(6, activation="tanh", name="inner")(inputs)
    return keras.Model(inputs, layers.Dense(2, name="outer")(x))


def loss(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> dict[str, Any]:
    """How far it is off, and how much it gives."""
    off = outputs["output"] - targets["value"]
    size = ops.sum(ops.square(outputs["output"]))
    return {"off": ops.mean(ops.log(ops.cosh(off))), "size": size}
