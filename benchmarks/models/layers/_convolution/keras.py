"""The convolution in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The layer, its weights not yet set; a stride is padded alike on both sides."""
    channels, kernel, stride = (task.settings[n] for n in ("channels", "kernel", "stride"))
    x = inputs = keras.Input(task.inputs["image"].shape)  # (n, 56, 56, 64)
    padding = "same" if stride == 1 else "valid"
    if stride > 1:
        x = layers.ZeroPadding2D(kernel // 2, name="pad")(x)
    if task.settings["alone"]:
        layer = layers.DepthwiseConv2D(kernel, strides=stride, padding=padding, name="conv")
    else:
        layer = layers.Conv2D(channels, kernel, strides=stride, padding=padding, name="conv")
    return keras.Model(inputs, layer(x))
