"""Xception in Keras."""

import keras
from keras import KerasTensor, layers

from benchmarks.models.images._blocks.keras import channels
from benchmarks.models.images.xception import ENTRY, EPSILON, EXIT, MIDDLE, MOMENTUM
from benchmarks.tasks.task import Task


def norm(x: KerasTensor, *, name: str) -> KerasTensor:
    """Batch normalisation with the constants that both twins use."""
    return layers.BatchNormalization(channels(), MOMENTUM, EPSILON, name=name)(x)


def separable(x: KerasTensor, filters: int, *, name: str) -> KerasTensor:
    """3x3 on each channel alone, 1x1 over all, and batch normalisation.

    ``SeparableConv2D`` computes the same by the same two operations; apart, each has its own name.
    """
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}-depthwise")(x)
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}-pointwise")(x)
    return norm(x, name=f"{name}-bn")


def strided(
    x: KerasTensor, filters: tuple[int, int], *, active: bool = True, name: str
) -> KerasTensor:
    """Two separable convolutions and a max-pooling, added to a strided 1x1 convolution."""
    shortcut = layers.Conv2D(
        filters[1], 1, strides=2, use_bias=False, name=f"{name}-shortcut_conv"
    )(x)
    shortcut = norm(shortcut, name=f"{name}-shortcut_bn")
    x = layers.ReLU(name=f"{name}-relu1")(x) if active else x
    x = separable(x, filters[0], name=f"{name}-separable1")
    x = layers.ReLU(name=f"{name}-relu2")(x)
    x = separable(x, filters[1], name=f"{name}-separable2")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}-pool")(x)
    return layers.Add(name=f"{name}-add")([x, shortcut])  # (n, h/2, w/2, filters)


def middle(x: KerasTensor, *, name: str) -> KerasTensor:
    """Three separable convolutions, each behind a ReLU, added to what they were given."""
    start, filters = x, x.shape[channels()]
    for at in (1, 2, 3):
        x = layers.ReLU(name=f"{name}-relu{at}")(x)
        x = separable(x, filters, name=f"{name}-separable{at}")
    return layers.Add(name=f"{name}-add")([x, start])


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 299, 299, 3)
    x = layers.Conv2D(32, 3, strides=2, use_bias=False, name="conv1")(inputs)
    x = layers.ReLU(name="relu1")(norm(x, name="bn1"))  # (n, 149, 149, 32)
    x = layers.Conv2D(64, 3, use_bias=False, name="conv2")(x)
    x = layers.ReLU(name="relu2")(norm(x, name="bn2"))  # (n, 147, 147, 64)
    for at, filters in enumerate(ENTRY):
        x = strided(x, (filters, filters), active=at > 0, name=f"entry-{at}")
    for at in range(MIDDLE):
        x = middle(x, name=f"middle-{at}")  # (n, 19, 19, 728)
    last, (wide, widest) = EXIT
    x = strided(x, last, name="exit")  # (n, 10, 10, 1024)
    x = layers.ReLU(name="relu3")(separable(x, wide, name="separable1"))
    x = layers.ReLU(name="relu4")(separable(x, widest, name="separable2"))
    x = layers.GlobalAveragePooling2D(name="pool")(x)  # (n, 2048)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 1000)
    return keras.Model(inputs, outputs)
