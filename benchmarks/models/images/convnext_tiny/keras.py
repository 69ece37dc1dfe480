"""ConvNeXt-T in Keras."""

import keras
from keras import KerasTensor, layers

from benchmarks.models._learned.keras import LayerScale
from benchmarks.models.images.convnext_tiny import EPSILON, STAGES, START
from benchmarks.tasks.task import Task


def norm(x: KerasTensor, *, name: str) -> KerasTensor:
    """Layer normalisation over the channels."""
    return layers.LayerNormalization(epsilon=EPSILON, name=name)(x)


def block(x: KerasTensor, width: int, *, name: str) -> KerasTensor:
    """7x7 on each channel alone, two dense layers over the channels, scaled and added."""
    y = layers.DepthwiseConv2D(7, padding="same", name=f"{name}-conv")(x)
    y = norm(y, name=f"{name}-norm")
    y = layers.Dense(4 * width, activation="gelu", name=f"{name}-dense1")(y)
    y = layers.Dense(width, name=f"{name}-dense2")(y)
    y = LayerScale(START, name=f"{name}-scale")(y)
    return layers.Add(name=f"{name}-add")([x, y])


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    x = inputs = keras.Input(task.inputs["image"].shape)  # (n, 224, 224, 3)
    for stage, (blocks, width) in enumerate(STAGES):
        name = f"stages-{stage}"
        if stage == 0:
            x = layers.Conv2D(width, 4, strides=4, name=f"{name}-0")(x)  # (n, 56, 56, 96)
            x = norm(x, name=f"{name}-1")
        else:
            x = norm(x, name=f"{name}-0")
            x = layers.Conv2D(width, 2, strides=2, name=f"{name}-1")(x)
        for at in range(blocks):
            x = block(x, width, name=f"{name}-{at + 2}")  # at last (n, 7, 7, 768)
    x = layers.GlobalAveragePooling2D(name="pool")(x)  # (n, 768)
    x = norm(x, name="norm")
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 1000)
    return keras.Model(inputs, outputs)
