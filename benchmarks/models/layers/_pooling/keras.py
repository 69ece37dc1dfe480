"""The pool in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """A depthwise convolution of 1x1, which scales, and the pool."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 112, 112, 64)
    x = layers.DepthwiseConv2D(1, name="scale")(inputs)
    pool = layers.MaxPooling2D if task.settings["largest"] else layers.AveragePooling2D
    return keras.Model(inputs, pool(2, name="pool")(x))
