"""ResNet-18 in Keras."""

import keras
from keras import KerasTensor, layers

from benchmarks.models._resnet.keras import conv, norm
from benchmarks.models.images.resnet18 import STAGES
from benchmarks.tasks.task import Task


def block(x: KerasTensor, filters: int, stride: int, *, name: str) -> KerasTensor:
    """Two 3x3 convolutions, the first with the stride, added to a shortcut."""
    shortcut = x
    if stride > 1:
        shortcut = conv(x, filters, 1, stride=stride, name=f"{name}-shortcut_conv")
        shortcut = norm(shortcut, name=f"{name}-shortcut_bn")
    x = norm(conv(x, filters, 3, stride=stride, name=f"{name}-conv1"), name=f"{name}-bn1")
    x = layers.ReLU(name=f"{name}-relu1")(x)  # (n, h/stride, w/stride, filters)
    x = norm(conv(x, filters, 3, name=f"{name}-conv2"), name=f"{name}-bn2")
    x = layers.Add(name=f"{name}-add")([x, shortcut])
    return layers.ReLU(name=f"{name}-relu2")(x)


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 224, 224, 3)
    x = norm(conv(inputs, 64, 7, stride=2, name="conv1"), name="bn1")  # (n, 112, 112, 64)
    x = layers.ReLU(name="relu1")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)  # zeros do no harm after a ReLU
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)  # (n, 56, 56, 64)
    for stage, (filters, stride) in enumerate(STAGES):
        x = block(x, filters, stride, name=f"stages-{stage}-0")
        x = block(x, filters, 1, name=f"stages-{stage}-1")  # at last (n, 7, 7, 512)
    x = layers.GlobalAveragePooling2D(name="pool2")(x)  # (n, 512)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 1000)
    return keras.Model(inputs, outputs)
