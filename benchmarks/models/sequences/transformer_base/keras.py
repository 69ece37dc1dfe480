"""The base transformer in Keras."""

import math
from typing import Any

import keras
from keras import layers, ops

from benchmarks.models.sequences.transformer_base import DROPOUT, EPSILON, waves
from benchmarks.tasks.task import Task


class Part(layers.Layer):
    """What an encoder's and a decoder's layer are made of: each adds to its input, normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = layers.Dropout(DROPOUT)
        self.norm = layers.LayerNormalization(epsilon=EPSILON)


class Attention(Part):
    """Attention of one sequence to another, or to the steps of its own that came before."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = layers.MultiHeadAttention(heads, width // heads)

    def call(self, x: Any, to: Any, *, causal: bool = False) -> Any:
        """Map (n, steps, width) to the same shape."""
        return self.norm(x + self.drop(self.heads(x, to, use_causal_mask=causal)))


class FeedForward(Part):
    """Two dense layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense1 = layers.Dense(4 * width, activation="relu")
        self.dense2 = layers.Dense(width)

    def call(self, x: Any) -> Any:
        """Map (n, steps, width) to the same shape."""
        return self.norm(x + self.drop(self.dense2(self.dense1(x))))


class Encoding(layers.Layer):
    """A layer of the encoder."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.own = Attention(width, heads)
        self.forward_ = FeedForward(width)

    def call(self, x: Any) -> Any:
        """Map (n, steps, width) to the same shape."""
        return self.forward_(self.own(x, x))


class Decoding(layers.Layer):
    """A layer of the decoder."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.own = Attention(width, heads)
        self.other = Attention(width, heads)
        self.forward_ = FeedForward(width)

    def call(self, x: Any, encoded: Any) -> Any:
        """Map (n, steps, width), and what was encoded, to the same shape."""
        return self.forward_(self.other(self.own(x, x, causal=True), encoded))


class Transformer(keras.Model):
    """One table of pieces, an encoder, a decoder, and the table again."""

    def __init__(self, pieces: int, steps: int, count: int, width: int, heads: int) -> None:
        super().__init__()
        self.table = layers.ReversibleEmbedding(pieces, width)
        self.waves, self.scale = waves(steps, width), math.sqrt(width)
        self.drop = layers.Dropout(DROPOUT)
        self.encoder = [Encoding(width, heads) for _ in range(count)]
        self.decoder = [Decoding(width, heads) for _ in range(count)]

    def embedded(self, x: Any) -> Any:
        """Vectors (n, steps, width) of pieces (n, steps) and their positions."""
        made = self.table(x) * self.scale
        return self.drop(made + ops.cast(self.waves[: x.shape[1]], made.dtype))

    def call(self, source: Any, target: Any) -> Any:
        """Logits (n, steps, pieces) of the next piece; of ids (n, 128) each."""
        x = self.embedded(source)  # (n, 128, 512)
        for encoding in self.encoder:
            x = encoding(x)
        y = self.embedded(target)
        for decoding in self.decoder:
            y = decoding(y, x)
        return self.table(y, reverse=True)  # (n, 128, 37000)


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    source, target = task.inputs["source"], task.inputs["target"]
    steps = max(source.shape[0], target.shape[0])
    count, width, heads = (task.settings[name] for name in ("layers", "width", "heads"))
    return Transformer(source.vocabulary, steps, count, width, heads)
