"""The model in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 32, 32, 3)
    x = layers.Conv2D(16, 3, padding="same", name="conv")(inputs)  # (n, 32, 32, 16)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU()(x)
    x = layers.MaxPooling2D(2)(x)  # (n, 16, 16, 16)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.25)(x)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 10)
    return keras.Model(inputs, outputs)
