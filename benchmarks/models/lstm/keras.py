"""The LSTM classifier in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["tokens"].shape, dtype="int32")  # (n, 80) token ids
    x = layers.Embedding(task.inputs["tokens"].vocabulary, 128, name="embedding")(
        inputs
    )  # (n, 80, 128)
    x = layers.LSTM(128, name="lstm")(x)  # (n, 128)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 10)
    return keras.Model(inputs, outputs)
