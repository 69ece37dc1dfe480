"""AlexNet in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    width, dense = task.settings["width"], task.settings["dense"]
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 224, 224, 3)
    x = layers.ZeroPadding2D(2, name="conv1_pad")(inputs)
    x = layers.Conv2D(width, 11, strides=4, activation="relu", name="conv1")(x)  # (n, 55, 55, 64)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)  # (n, 27, 27, 64)
    x = layers.Conv2D(3 * width, 5, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool2")(x)  # (n, 13, 13, 192)
    x = layers.Conv2D(6 * width, 3, padding="same", activation="relu", name="conv3")(x)
    x = layers.Conv2D(4 * width, 3, padding="same", activation="relu", name="conv4")(x)
    x = layers.Conv2D(4 * width, 3, padding="same", activation="relu", name="conv5")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool3")(x)  # (n, 6, 6, 256)
    x = layers.Flatten(name="flatten")(x)  # (n, 9216)
    x = layers.Dropout(0.5, name="drop1")(x)
    x = layers.Dense(dense, activation="relu", name="dense1")(x)  # (n, 4096)
    x = layers.Dropout(0.5, name="drop2")(x)
    x = layers.Dense(dense, activation="relu", name="dense2")(x)  # (n, 4096)
    outputs = layers.Dense(task.targets["label"].count, name="dense3")(x)  # (n, 1000)
    return keras.Model(inputs, outputs)
