"""The Rosetta CNN in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 32, 32, 3)
    x = layers.Conv2D(50, 3, padding="same", activation="relu", name="conv1")(inputs)
    x = layers.Conv2D(50, 3, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)  # (n, 16, 16, 50)
    x = layers.Dropout(0.25, name="drop1")(x)
    x = layers.Conv2D(100, 3, padding="same", activation="relu", name="conv3")(x)
    x = layers.Conv2D(100, 3, padding="same", activation="relu", name="conv4")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)  # (n, 8, 8, 100)
    x = layers.Dropout(0.25, name="drop2")(x)
    x = layers.Flatten(name="flatten")(x)  # (n, 6400)
    x = layers.Dense(512, activation="relu", name="dense1")(x)  # (n, 512)
    x = layers.Dropout(0.5, name="drop3")(x)
    outputs = layers.Dense(task.targets["label"].count, name="dense2")(x)  # (n, 10)
    return keras.Model(inputs, outputs)
