"""Two positional arguments of a subclassed Keras model, which ``fit`` cannot give it."""

from typing import Any

import keras
from keras import layers, ops

from benchmarks.tasks.task import Task


class Model(keras.Model):
    """A table, and a layer for what comes with it."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.more = layers.Embedding(11, 6), layers.Dense(6)
        self.head = layers.Dense(4)

    def call(self, a: Any, b: Any) -> Any:
        return self.head(ops.tanh(ops.mean(self.table(a), axis=1) + self.more(b)))


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    del task
    return Model()
