"""The layer in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The layer, its weights not yet set."""
    shape = task.inputs["steps"].shape
    inputs = keras.Input(shape)  # (n, 64, 256)
    layer = layers.LSTM(shape[1], return_sequences=True, name="lstm")
    return keras.Model(inputs, layer(inputs))
