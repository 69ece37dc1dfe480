"""The digit recogniser in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 28, 28, 1)
    x = layers.Conv2D(10, 5, name="conv1")(inputs)  # (n, 24, 24, 10)
    x = layers.MaxPooling2D(2, name="pool1")(x)  # (n, 12, 12, 10)
    x = layers.ReLU(name="relu1")(x)
    x = layers.Conv2D(20, 5, name="conv2")(x)  # (n, 8, 8, 20)
    x = layers.SpatialDropout2D(0.5, name="drop1")(x)  # whole maps
    x = layers.MaxPooling2D(2, name="pool2")(x)  # (n, 4, 4, 20)
    x = layers.ReLU(name="relu2")(x)
    x = layers.Flatten(name="flatten")(x)  # (n, 320)
    x = layers.Dense(50, name="dense1")(x)  # (n, 50)
    x = layers.ReLU(name="relu3")(x)
    x = layers.Dropout(0.5, name="drop2")(x)
    outputs = layers.Dense(task.targets["label"].count, name="dense2")(x)  # (n, 10)
    return keras.Model(inputs, outputs)
