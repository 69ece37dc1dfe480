"""The character model in Keras."""

import keras
from keras import layers

from benchmarks.models.sequences.char_lstm import UNITS, VECTOR
from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    one = task.inputs["text"]
    inputs = keras.Input(one.shape, dtype="int32")  # (n, 80) ids
    x = layers.Embedding(one.vocabulary, VECTOR, name="embedding")(inputs)  # (n, 80, 8)
    x = layers.LSTM(UNITS, return_sequences=True, name="lstm-0")(x)  # (n, 80, 256)
    x = layers.LSTM(UNITS, return_sequences=True, name="lstm-1")(x)  # (n, 80, 256)
    outputs = layers.Dense(one.vocabulary, name="dense")(x)  # (n, 80, 90)
    return keras.Model(inputs, outputs)
