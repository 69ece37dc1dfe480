"""The layer in Keras."""

import keras
from keras import config, layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The layer, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 56, 56, 64)
    axis = -1 if config.image_data_format() == "channels_last" else 1
    layer = layers.BatchNormalization(axis, momentum=0.9, epsilon=1e-5, name="norm")
    return keras.Model(inputs, layer(inputs))
