"""Two dense layers in Keras, subclassed."""

from typing import Any

import keras
from keras import layers

from benchmarks.tasks.task import Task


class Model(keras.Model):
    """Two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = layers.Dense(16, activation="relu"), layers.Dense(10)

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    del task
    return Model()
