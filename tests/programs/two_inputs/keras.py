"""Two named inputs in Keras, as a functional model of a mapping."""

import keras
from keras import layers

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = {n: keras.Input(one.shape, name=n) for n, one in task.inputs.items()}
    left = layers.Dense(6, name="of_left")(inputs["left"])
    right = layers.Dense(6, name="of_right")(inputs["right"])
    x = layers.Activation("tanh")(layers.Subtract()([left, right]))
    return keras.Model(inputs, layers.Dense(4, name="head")(x))
