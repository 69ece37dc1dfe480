"""The small net in Keras with its padding left to Keras."""

import keras

from benchmarks.tasks.task import Task
from tests.wrong_twins._net.keras import build as build_net


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    return build_net(task, same=True)
