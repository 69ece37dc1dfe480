"""DenseNet-121 in Keras."""

import keras
from keras import KerasTensor, layers

from benchmarks.models.images._blocks.keras import channels, norm
from benchmarks.models.images.densenet121 import BLOCKS, BOTTLENECK, GROWTH
from benchmarks.tasks.task import Task


def conv(x: KerasTensor, filters: int, kernel: int, *, name: str) -> KerasTensor:
    """A convolution without bias."""
    return layers.Conv2D(filters, kernel, padding="same", use_bias=False, name=name)(x)


def active(x: KerasTensor, *, name: str) -> KerasTensor:
    """Batch normalisation and ReLU."""
    return layers.ReLU(name=f"{name}_relu")(norm(x, name=name))


def layer(x: KerasTensor, *, name: str) -> KerasTensor:
    """A 1x1 and a 3x3 convolution, each behind its normalisation, beside what they were given."""
    y = conv(active(x, name=f"{name}-bn1"), BOTTLENECK, 1, name=f"{name}-conv1")  # (n, h, w, 128)
    y = conv(active(y, name=f"{name}-bn2"), GROWTH, 3, name=f"{name}-conv2")  # (n, h, w, 32)
    return layers.Concatenate(channels(), name=f"{name}-concat")([x, y])


def transition(x: KerasTensor, *, name: str) -> KerasTensor:
    """A 1x1 convolution to half the channels, and the mean of each 2x2."""
    half = x.shape[channels()] // 2
    x = conv(active(x, name=f"{name}-bn"), half, 1, name=f"{name}-conv")
    return layers.AveragePooling2D(2, name=f"{name}-pool")(x)  # (n, h/2, w/2, half)


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 224, 224, 3)
    x = layers.ZeroPadding2D(3, name="conv1_pad")(inputs)
    x = layers.Conv2D(2 * GROWTH, 7, strides=2, use_bias=False, name="conv1")(x)
    x = active(x, name="bn1")  # (n, 112, 112, 64)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)  # zeros do no harm after a ReLU
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)  # (n, 56, 56, 64)
    for at, count in enumerate(BLOCKS):
        for place in range(count):
            x = layer(x, name=f"blocks-dense{at}-{place}")
        if at + 1 < len(BLOCKS):
            x = transition(x, name=f"blocks-transition{at}")
    x = active(x, name="bn2")  # (n, 7, 7, 1024)
    x = layers.GlobalAveragePooling2D(name="pool2")(x)  # (n, 1024)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 1000)
    return keras.Model(inputs, outputs)
