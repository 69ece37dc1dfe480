"""Two dense layers in a layer of Keras, which has no ``fit``."""

from typing import Any

from keras import layers

from benchmarks.tasks.task import Task


class Both(layers.Layer):
    """Two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = layers.Dense(16, activation="relu"), layers.Dense(10)

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))


def build(task: Task) -> layers.Layer:
    """The model, its weights not yet set."""
    del task
    return Both()
