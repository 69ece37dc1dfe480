"""The multilayer perceptron in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["features"].shape)  # (n, 784)
    x = layers.Dense(512, name="dense1")(inputs)  # (n, 512)
    x = layers.ReLU(name="relu1")(x)
    x = layers.Dense(256, name="dense2")(x)  # (n, 256)
    x = layers.ReLU(name="relu2")(x)
    outputs = layers.Dense(task.targets["label"].count, name="dense3")(x)  # (n, 10)
    return keras.Model(inputs, outputs)
