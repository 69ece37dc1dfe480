"""SqueezeNet 1.0 in Keras."""

import keras
from keras import KerasTensor, layers

from benchmarks.models.images._blocks.keras import channels
from benchmarks.models.images.squeezenet import FIRES, POOL
from benchmarks.tasks.task import Task


def pooled(x: KerasTensor, *, name: str) -> KerasTensor:
    """The largest of 3x3, every second one, a last partial window included.

    On an even side ``same`` adds one column at the end, which makes the last window a whole one; on
    an odd side there is none.
    """
    padding = "valid" if x.shape[2] % 2 else "same"
    return layers.MaxPooling2D(3, strides=2, padding=padding, name=name)(x)


def fire(x: KerasTensor, few: int, half: int, *, name: str) -> KerasTensor:
    """A 1x1 convolution to few channels, then 1x1 and 3x3 convolutions side by side."""
    x = layers.Conv2D(few, 1, activation="relu", name=f"{name}-squeeze")(x)
    left = layers.Conv2D(half, 1, activation="relu", name=f"{name}-expand1")(x)
    right = layers.Conv2D(half, 3, padding="same", activation="relu", name=f"{name}-expand3")(x)
    return layers.Concatenate(channels(), name=f"{name}-concat")([left, right])


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 224, 224, 3)
    x = layers.Conv2D(96, 7, strides=2, activation="relu", name="conv1")(inputs)
    x = pooled(x, name="pool")  # (n, 54, 54, 96)
    for at, (few, half) in enumerate(FIRES):
        name = f"fires-{at}"
        x = pooled(x, name=name) if few == POOL else fire(x, few, half, name=name)
    x = layers.Dropout(0.5, name="drop")(x)  # (n, 13, 13, 512)
    x = layers.Conv2D(task.targets["label"].count, 1, activation="relu", name="conv2")(x)
    outputs = layers.GlobalAveragePooling2D(name="mean")(x)  # (n, 1000)
    return keras.Model(inputs, outputs)
