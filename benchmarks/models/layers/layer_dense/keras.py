"""The layer in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The layer, its weights not yet set."""
    inputs = keras.Input(task.inputs["features"].shape)  # (n, width)
    outputs = layers.Dense(task.settings["width"], name="dense")(inputs)
    return keras.Model(inputs, outputs)
