"""The layer in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The layer, its weights not yet set; of an even kernel ``same`` pads both sides alike."""
    shape = task.inputs["image"].shape
    inputs = keras.Input(shape)  # (n, 28, 28, 64)
    layer = layers.Conv2DTranspose(shape[2], 4, strides=2, padding="same", name="grow")
    return keras.Model(inputs, layer(inputs))
