"""BERT-base in Keras."""

import keras
from keras import KerasTensor, layers, ops

from benchmarks.models._learned.keras import Positions
from benchmarks.models.sequences.bert_base import DROPOUT, EPSILON, POSITIONS
from benchmarks.tasks.task import Task


def norm(x: KerasTensor, *, name: str) -> KerasTensor:
    """Layer normalisation with the epsilon that both twins use."""
    return layers.LayerNormalization(epsilon=EPSILON, name=name)(x)


def layer(x: KerasTensor, seen: KerasTensor, width: int, heads: int, *, name: str) -> KerasTensor:
    """Attention and two dense layers, each added to its input and normalised behind that."""
    attention = layers.MultiHeadAttention(
        heads, width // heads, dropout=DROPOUT, name=f"{name}-attention"
    )
    y = attention(x, x, attention_mask=seen)
    y = layers.Dropout(DROPOUT, name=f"{name}-drop1")(y)
    x = norm(layers.Add(name=f"{name}-add1")([x, y]), name=f"{name}-norm1")
    y = layers.Dense(4 * width, activation="gelu", name=f"{name}-dense1")(x)
    y = layers.Dense(width, name=f"{name}-dense2")(y)
    y = layers.Dropout(DROPOUT, name=f"{name}-drop2")(y)
    return norm(layers.Add(name=f"{name}-add2")([x, y]), name=f"{name}-norm2")


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    width, heads, given = task.settings["width"], task.settings["heads"], task.inputs
    tokens = keras.Input(given["tokens"].shape, dtype="int32", name="tokens")  # (n, 128)
    segments = keras.Input(given["segments"].shape, dtype="int32", name="segments")
    mask = keras.Input(given["mask"].shape, dtype="bool", name="mask")
    x = layers.Add(name="add")([
        layers.Embedding(given["tokens"].vocabulary, width, name="tokens_table")(tokens),
        layers.Embedding(given["segments"].vocabulary, width, name="segments_table")(segments),
    ])  # fmt: skip
    x = norm(Positions(POSITIONS, name="positions")(x), name="norm")  # (n, 128, 768)
    x = layers.Dropout(DROPOUT, name="drop1")(x)
    seen = ops.expand_dims(mask, 1)  # (n, 1, 128), true where a position counts
    for at in range(task.settings["layers"]):
        x = layer(x, seen, width, heads, name=f"layers-{at}")
    x = layers.Dense(width, activation="tanh", name="pooler")(x[:, 0])  # (n, 768)
    x = layers.Dropout(DROPOUT, name="drop2")(x)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 2)
    return keras.Model({"tokens": tokens, "segments": segments, "mask": mask}, outputs)
