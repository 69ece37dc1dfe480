"""GPT-2 small in Keras."""

import keras
from keras import KerasTensor, layers

from benchmarks.models._learned.keras import Positions
from benchmarks.models.sequences.gpt2_small import DROPOUT, EPSILON, POSITIONS
from benchmarks.tasks.task import Task


def norm(x: KerasTensor, *, name: str) -> KerasTensor:
    """Layer normalisation with the epsilon that both twins use."""
    return layers.LayerNormalization(epsilon=EPSILON, name=name)(x)


def layer(x: KerasTensor, width: int, heads: int, *, name: str) -> KerasTensor:
    """Causal attention and two dense layers, each behind a normalisation, added to its input."""
    attention = layers.MultiHeadAttention(
        heads, width // heads, dropout=DROPOUT, name=f"{name}-attention"
    )
    y = norm(x, name=f"{name}-norm1")
    y = attention(y, y, use_causal_mask=True)
    y = layers.Dropout(DROPOUT, name=f"{name}-drop1")(y)
    x = layers.Add(name=f"{name}-add1")([x, y])
    y = layers.Dense(4 * width, name=f"{name}-dense1")(norm(x, name=f"{name}-norm2"))
    y = layers.Dense(width, name=f"{name}-dense2")(keras.activations.gelu(y, approximate=True))
    y = layers.Dropout(DROPOUT, name=f"{name}-drop2")(y)
    return layers.Add(name=f"{name}-add2")([x, y])


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    one, width, heads = task.inputs["tokens"], task.settings["width"], task.settings["heads"]
    inputs = keras.Input(one.shape, dtype="int32")  # (n, 1024) token ids
    table = layers.ReversibleEmbedding(one.vocabulary, width, name="tokens")
    x = Positions(POSITIONS, name="positions")(table(inputs))  # (n, 1024, 768)
    x = layers.Dropout(DROPOUT, name="drop")(x)
    for at in range(task.settings["layers"]):
        x = layer(x, width, heads, name=f"layers-{at}")
    outputs = table(norm(x, name="norm"), reverse=True)  # (n, 1024, 50257)
    return keras.Model(inputs, outputs)
