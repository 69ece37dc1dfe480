"""MobileNetV2 in Keras."""

import keras
from keras import KerasTensor, layers

from benchmarks.models.images._blocks.keras import channels, conv_norm, depthwise_norm
from benchmarks.models.images.mobilenet_v2 import STAGES
from benchmarks.tasks.task import Task


def block(x: KerasTensor, filters: int, stride: int, expansion: int, *, name: str) -> KerasTensor:
    """1x1 to more channels, 3x3 on each channel alone, 1x1 to few; added to its input."""
    start, inputs, name = x, x.shape[channels()], f"{name}-layers"
    if expansion > 1:
        x = conv_norm(x, expansion * inputs, 1, activation="relu6", name=f"{name}-expand")
    x = depthwise_norm(x, 3, stride=stride, activation="relu6", name=f"{name}-depthwise")
    x = conv_norm(x, filters, 1, activation="", name=f"{name}-project")
    if stride == 1 and inputs == filters:
        x = layers.Add(name=f"{name}-add")([start, x])
    return x  # (n, h/stride, w/stride, filters)


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 224, 224, 3)
    x = conv_norm(inputs, 32, stride=2, activation="relu6", name="first")  # (n, 112, 112, 32)
    at = 0
    for expansion, first_stride, filters, blocks in STAGES:
        for place in range(blocks):
            stride = first_stride if place == 0 else 1
            x = block(x, filters, stride, expansion, name=f"blocks-{at}")
            at += 1
    x = conv_norm(x, 1280, 1, activation="relu6", name="last")  # (n, 7, 7, 1280)
    x = layers.GlobalAveragePooling2D(name="pool")(x)  # (n, 1280)
    x = layers.Dropout(0.2, name="drop")(x)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 1000)
    return keras.Model(inputs, outputs)
