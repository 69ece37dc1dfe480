"""Two outputs in Keras, in another order than PyTorch's; one layer is named by Keras itself."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["features"].shape)
    x = layers.Dense(6, activation="sigmoid")(inputs)
    outputs = {"size": layers.Dense(2, name="size")(x), "kind": layers.Dense(4, name="kind")(x)}
    return keras.Model(inputs, outputs)
