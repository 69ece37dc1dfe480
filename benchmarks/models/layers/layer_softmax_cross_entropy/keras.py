"""The layer in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The layer, its weights not yet set; the loss takes its outputs as logits."""
    inputs = keras.Input(task.inputs["features"].shape)  # (n, 16)
    return keras.Model(inputs, layers.Dense(task.settings["classes"], name="dense")(inputs))
