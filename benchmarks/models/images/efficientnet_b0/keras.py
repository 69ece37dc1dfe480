"""EfficientNet-B0 in Keras."""

import keras
from keras import KerasTensor, layers

from benchmarks.models.images._blocks.keras import channels, conv_norm, depthwise_norm
from benchmarks.models.images.efficientnet_b0 import SQUEEZE, STAGES
from benchmarks.tasks.task import Task


def gate(x: KerasTensor, few: int, *, name: str) -> KerasTensor:
    """Scales each channel by what two 1x1 convolutions make of the means of all."""
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}-mean")(x)  # (n, 1, 1, c)
    y = layers.Conv2D(few, 1, activation="silu", name=f"{name}-reduce")(y)
    y = layers.Conv2D(x.shape[channels()], 1, activation="sigmoid", name=f"{name}-expand")(y)
    return layers.Multiply(name=f"{name}-scale")([x, y])


def block(
    x: KerasTensor, filters: int, kernel: int, stride: int, expansion: int, *, name: str
) -> KerasTensor:
    """1x1 to more channels, one kernel on each, a gate, 1x1 to few; added to its input."""
    start, inputs, name = x, x.shape[channels()], f"{name}-layers"
    if expansion > 1:
        x = conv_norm(x, expansion * inputs, 1, activation="silu", name=f"{name}-expand")
    x = depthwise_norm(x, kernel, stride=stride, activation="silu", name=f"{name}-depthwise")
    x = gate(x, inputs // SQUEEZE, name=f"{name}-gate")
    x = conv_norm(x, filters, 1, activation="", name=f"{name}-project")
    if stride == 1 and inputs == filters:
        x = layers.Add(name=f"{name}-add")([start, x])
    return x  # (n, h/stride, w/stride, filters)


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 224, 224, 3)
    x = conv_norm(inputs, 32, stride=2, activation="silu", name="first")  # (n, 112, 112, 32)
    at = 0
    for expansion, kernel, first_stride, filters, blocks in STAGES:
        for place in range(blocks):
            stride = first_stride if place == 0 else 1
            x = block(x, filters, kernel, stride, expansion, name=f"blocks-{at}")
            at += 1
    x = conv_norm(x, 1280, 1, activation="silu", name="last")  # (n, 7, 7, 1280)
    x = layers.GlobalAveragePooling2D(name="pool")(x)  # (n, 1280)
    x = layers.Dropout(0.2, name="drop")(x)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 1000)
    return keras.Model(inputs, outputs)
