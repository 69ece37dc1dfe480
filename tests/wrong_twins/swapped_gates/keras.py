"""The small LSTM in Keras, as it should be."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["tokens"].shape, dtype="int32")  # (n, 5) token ids
    x = layers.Embedding(task.inputs["tokens"].vocabulary, 6, name="embedding")(inputs)  # (n, 5, 6)
    x = layers.LSTM(4, name="lstm")(x)  # (n, 4)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 3)
    return keras.Model(inputs, outputs)
