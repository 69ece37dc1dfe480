"""The layer in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The layer, its weights not yet set."""
    inputs = keras.Input(task.inputs["features"].shape)  # (n, 1024)
    outputs = layers.Dense(task.targets["wanted"].shape[0], name="dense")(inputs)
    return keras.Model(inputs, outputs)
