"""ViT-B/16 in Keras."""

import keras
from keras import KerasTensor, layers

from benchmarks.models._learned.keras import ClassToken, Positions
from benchmarks.models.images.vit_b16 import EPSILON, PATCH
from benchmarks.tasks.task import Task


def norm(x: KerasTensor, *, name: str) -> KerasTensor:
    """Layer normalisation with the epsilon that both twins use."""
    return layers.LayerNormalization(epsilon=EPSILON, name=name)(x)


def layer(x: KerasTensor, width: int, heads: int, *, name: str) -> KerasTensor:
    """Attention and two dense layers, each behind a normalisation and added to its input."""
    y = norm(x, name=f"{name}-norm1")
    y = layers.MultiHeadAttention(heads, width // heads, name=f"{name}-attention")(y, y)
    x = layers.Add(name=f"{name}-add1")([x, y])
    y = norm(x, name=f"{name}-norm2")
    y = layers.Dense(4 * width, activation="gelu", name=f"{name}-dense1")(y)
    y = layers.Dense(width, name=f"{name}-dense2")(y)
    return layers.Add(name=f"{name}-add2")([x, y])


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    width, heads = task.settings["width"], task.settings["heads"]
    height, columns, _ = task.inputs["image"].shape
    patches = (height // PATCH) * (columns // PATCH)
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 224, 224, 3)
    x = layers.Conv2D(width, PATCH, strides=PATCH, name="patches")(inputs)  # (n, 14, 14, 768)
    x = layers.Reshape((patches, width), name="flatten")(x)  # (n, 196, 768)
    x = ClassToken(name="token")(x)  # (n, 197, 768)
    x = Positions(patches + 1, name="positions")(x)
    for at in range(task.settings["layers"]):
        x = layer(x, width, heads, name=f"layers-{at}")
    x = norm(x, name="norm")[:, 0]  # (n, 768)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 1000)
    return keras.Model(inputs, outputs)
