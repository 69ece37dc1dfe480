"""Inception-v3 in Keras."""

import keras
from keras import KerasTensor, layers

from benchmarks.models.images._blocks.keras import channels, conv_norm
from benchmarks.models.images.inception_v3 import BLOCKS, EPSILON, Block, Conv, Step
from benchmarks.tasks.task import Task


def conv(x: KerasTensor, one: Conv, *, name: str) -> KerasTensor:
    """A convolution, batch normalisation and ReLU."""
    stride, valid = one.stride, one.stride > 1
    return conv_norm(
        x, one.filters, one.kernel, epsilon=EPSILON, stride=stride, valid=valid, name=name
    )


def step(x: KerasTensor, one: Step, *, name: str) -> KerasTensor:
    """One step of a branch."""
    if one == "mean":
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)  # with "same" it would not count
        return layers.AveragePooling2D(3, strides=1, name=name)(x)
    if one == "max":
        return layers.MaxPooling2D(3, strides=2, name=name)(x)
    if isinstance(one, Conv):
        return conv(x, one, name=name)
    return beside([conv(x, o, name=f"{name}-branches-{at}") for at, o in enumerate(one)], name=name)


def beside(branches: list[KerasTensor], *, name: str) -> KerasTensor:
    """The maps of branches, side by side."""
    return layers.Concatenate(channels(), name=f"{name}-concat")(branches)


def block(x: KerasTensor, branches: Block, *, name: str) -> KerasTensor:
    """Branches that are given the same map, their maps put side by side."""
    ends = []
    for at, steps in enumerate(branches):
        end = x
        for place, one in enumerate(steps):
            end = step(end, one, name=f"{name}-branches-{at}-{place}")
        ends.append(end)
    return beside(ends, name=name)


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 299, 299, 3)
    x = conv_norm(inputs, 32, stride=2, valid=True, epsilon=EPSILON, name="stem-0")
    x = conv_norm(x, 32, valid=True, epsilon=EPSILON, name="stem-1")
    x = conv_norm(x, 64, epsilon=EPSILON, name="stem-2")  # (n, 147, 147, 64)
    x = layers.MaxPooling2D(3, strides=2, name="stem-3")(x)
    x = conv_norm(x, 80, 1, epsilon=EPSILON, name="stem-4")
    x = conv_norm(x, 192, valid=True, epsilon=EPSILON, name="stem-5")  # (n, 71, 71, 192)
    x = layers.MaxPooling2D(3, strides=2, name="stem-6")(x)  # (n, 35, 35, 192)
    for at, branches in enumerate(BLOCKS):
        x = block(x, branches, name=f"blocks-{at}")  # at last (n, 8, 8, 2048)
    x = layers.GlobalAveragePooling2D(name="pool")(x)  # (n, 2048)
    x = layers.Dropout(0.5, name="drop")(x)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 1000)
    return keras.Model(inputs, outputs)
