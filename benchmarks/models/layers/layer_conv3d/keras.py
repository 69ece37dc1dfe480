"""The layer in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The layer, its weights not yet set."""
    inputs = keras.Input(task.inputs["frames"].shape)  # (n, 16, 28, 28, 64)
    layer = layers.Conv3D(
        task.settings["channels"],
        task.settings["kernel"],
        padding="same",
        data_format="channels_last",
        name="conv",
    )
    return keras.Model(inputs, layer(inputs))
