"""A convolution with normalisation in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)
    x = layers.Conv2D(8, 3, strides=2, name="conv")(inputs)  # (n, 3, 3, 8)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Flatten(name="flatten")(x)  # (n, 72)
    return keras.Model(inputs, layers.Dense(task.targets["label"].count, name="dense")(x))
