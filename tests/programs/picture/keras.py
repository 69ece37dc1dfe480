"""From an image to an image in Keras."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set; a smaller map beside the image, and that flattened."""
    shape = task.inputs["image"].shape
    channels = shape[-1 if keras.config.image_data_format() == "channels_last" else 0]
    inputs = keras.Input(shape)
    x = layers.Conv2D(4, 3, padding="same", activation="tanh", name="inner")(inputs)
    small = layers.MaxPooling2D(2)(x)
    again = layers.Conv2D(channels, 3, padding="same", name="outer")(x)
    return keras.Model(inputs, {"output": again, "small": small, "flat": layers.Flatten()(small)})
