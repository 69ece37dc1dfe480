"""The regression in Keras."""

import keras
from keras import layers

from benchmarks.models.other.regression_mlp import WIDTH
from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["columns"].shape)  # (n, 9)
    x = layers.Dense(WIDTH, activation="relu", name="dense1")(inputs)  # (n, 64)
    x = layers.Dense(WIDTH, activation="relu", name="dense2")(x)
    outputs = layers.Dense(1, name="dense3")(x)  # (n, 1)
    return keras.Model(inputs, outputs)
