"""The U-Net in Keras."""

import keras
from keras import KerasTensor, layers

from benchmarks.models.images._blocks.keras import channels
from benchmarks.models.images.unet import DEPTH
from benchmarks.tasks.task import Task


def pair(x: KerasTensor, filters: int, *, name: str) -> KerasTensor:
    """Two 3x3 convolutions, each with ReLU."""
    for at in (1, 2):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}-conv{at}")(x)
    return x


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    width, kept = task.settings["width"], []
    x = inputs = keras.Input(task.inputs["image"].shape)  # (n, 256, 256, 1)
    for depth in range(DEPTH):
        x = pair(x, width * 2**depth, name=f"down-{depth}")
        kept.append(x)
        x = layers.MaxPooling2D(2, name=f"pool{depth}")(x)
    x = pair(x, width * 2**DEPTH, name="bottom")  # (n, 16, 16, 1024)
    for at in range(DEPTH):
        filters = width * 2 ** (DEPTH - 1 - at)
        x = layers.Conv2DTranspose(filters, 2, strides=2, name=f"grow-{at}")(x)
        x = layers.Concatenate(channels(), name=f"concat{at}")([kept.pop(), x])
        x = pair(x, filters, name=f"up-{at}")
    outputs = layers.Conv2D(task.targets["mask"].count, 1, name="score")(x)  # (n, 256, 256, 2)
    return keras.Model(inputs, outputs)
