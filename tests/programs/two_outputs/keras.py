"""Two outputs in Keras, in another order than PyTorch's."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["features"].shape)
    x = layers.Dense(6, activation="sigmoid", name="body")(inputs)
    outputs = {"size": layers.Dense(2, name="size")(x), "kind": layers.Dense(4, name="kind")(x)}
    return keras.Model(inputs, outputs)
