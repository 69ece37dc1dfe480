"""ResNet-50 v1.5 in Keras."""

import keras
from keras import layers

from benchmarks.models._resnet.keras import body
from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 224, 224, 3)
    x = body(inputs)  # (n, 7, 7, 2048)
    x = layers.GlobalAveragePooling2D(name="pool2")(x)  # (n, 2048)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 1000)
    return keras.Model(inputs, outputs)
