"""The Rosetta GRU in Keras."""

import keras
from keras import layers

from benchmarks.models.sequences.gru import UNITS, VECTOR
from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    one = task.inputs["tokens"]
    inputs = keras.Input(one.shape, dtype="int32")  # (n, 150) token ids
    x = layers.Embedding(one.vocabulary, VECTOR, name="embedding")(inputs)  # (n, 150, 125)
    x = layers.GRU(UNITS, reset_after=True, name="gru")(x)  # (n, 100)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 2)
    return keras.Model(inputs, outputs)
