"""The autoencoder in Keras."""

import keras
from keras import layers

from benchmarks.models.generative.autoencoder import WIDTHS
from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    x = inputs = keras.Input(task.inputs["features"].shape)  # (n, 784)
    *wide, code = WIDTHS
    for at, width in enumerate(wide):
        x = layers.Dense(width, activation="sigmoid", name=f"encoder-{at}")(x)
    x = layers.Dense(code, name="code")(x)  # (n, 30)
    x = layers.Dense(wide[-1], activation="sigmoid", name="back")(x)
    for at, width in enumerate(reversed(wide[:-1])):
        x = layers.Dense(width, activation="sigmoid", name=f"decoder-{at}")(x)
    outputs = layers.Dense(inputs.shape[-1], name="last")(x)  # (n, 784)
    return keras.Model(inputs, outputs)
