"""The stacked LSTM in Keras."""

import keras
from keras import layers

from benchmarks.models.sequences.stacked_lstm import UNITS
from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["series"].shape)  # (n, 96, 7)
    x = layers.LSTM(UNITS, return_sequences=True, name="lstm-0")(inputs)  # (n, 96, 64)
    x = layers.LSTM(UNITS, name="lstm-1")(x)  # (n, 64)
    outputs = layers.Dense(task.targets["next"].shape[0], name="dense")(x)  # (n, 7)
    return keras.Model(inputs, outputs)
