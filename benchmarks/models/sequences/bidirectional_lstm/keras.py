"""The bidirectional LSTM in Keras."""

import keras
from keras import layers

from benchmarks.models.sequences.bidirectional_lstm import UNITS, VECTOR
from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    one = task.inputs["tokens"]
    inputs = keras.Input(one.shape, dtype="int32")  # (n, 200) token ids
    x = layers.Embedding(one.vocabulary, VECTOR, name="embedding")(inputs)  # (n, 200, 128)
    x = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True))(x)  # (n, 200, 128)
    x = layers.Bidirectional(layers.LSTM(UNITS))(x)  # (n, 128)
    outputs = layers.Dense(1, name="dense")(x)  # (n, 1)
    return keras.Model(inputs, outputs)
