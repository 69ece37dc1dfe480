"""The layer in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The layer, its weights not yet set."""
    one = task.inputs["tokens"]
    inputs = keras.Input(one.shape, dtype="int32")  # (n, 128)
    width = task.targets["wanted"].shape[1]
    return keras.Model(inputs, layers.Embedding(one.vocabulary, width, name="table")(inputs))
