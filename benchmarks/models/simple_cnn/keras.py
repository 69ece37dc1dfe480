"""The small convolutional network in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 32, 32, 3)
    x = layers.Conv2D(32, 3, name="conv1")(inputs)  # (n, 30, 30, 32)
    x = layers.ReLU(name="relu1")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)  # (n, 15, 15, 32)
    x = layers.Conv2D(16, 3, name="conv2")(x)  # (n, 13, 13, 16)
    x = layers.ReLU(name="relu2")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)  # (n, 6, 6, 16)
    x = layers.Flatten(name="flatten")(x)  # (n, 576)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 10)
    return keras.Model(inputs, outputs)
