"""The layers of one learnt array in Keras."""

from typing import Any

import keras
from keras import layers, ops


class LayerScale(layers.Layer):
    """Multiplies each feature of the last axis by a number of its own."""

    def __init__(self, start: float, **named: Any) -> None:
        super().__init__(**named)
        self.start = start

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the array."""
        self.gamma = self.add_weight(
            (shape[-1],), initializer=keras.initializers.Constant(self.start), name="gamma"
        )

    def call(self, x: Any) -> Any:
        """Map (n, ..., width) to the same shape."""
        return x * self.gamma


class ClassToken(layers.Layer):
    """Puts a learnt token in front of a sequence."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the token."""
        self.table = self.add_weight((1, shape[-1]), initializer="zeros", name="table")

    def call(self, x: Any) -> Any:
        """Map (n, steps, width) to (n, steps + 1, width)."""
        token = ops.broadcast_to(self.table, (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([token, x], axis=1)


class Positions(layers.Layer):
    """Adds a learnt vector to each step of a sequence, the first ones where it is shorter."""

    def __init__(self, steps: int, **named: Any) -> None:
        super().__init__(**named)
        self.steps = steps

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the vectors."""
        self.table = self.add_weight(
            (self.steps, shape[-1]), initializer=keras.initializers.RandomNormal(0.02), name="table"
        )

    def call(self, x: Any) -> Any:
        """Map (n, steps, width) to the same shape."""
        return x + self.table[: x.shape[1]]
