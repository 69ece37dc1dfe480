"""The layer in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The layer, its weights not yet set."""
    shape = task.inputs["steps"].shape
    inputs = keras.Input(shape)  # (n, 128, 768)
    outputs = layers.MultiHeadAttention(12, shape[1] // 12, name="heads")(inputs, inputs)
    return keras.Model(inputs, outputs)
