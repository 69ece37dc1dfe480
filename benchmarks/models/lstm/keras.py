"""The LSTM classifier in Keras."""

import keras
from keras import layers

from benchmarks.models._spec import ModelSpec


def build(spec: ModelSpec) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(spec.input_shape, dtype="int32")  # (n, 80) token ids
    x = layers.Embedding(spec.vocabulary or 0, 128, name="embedding")(inputs)  # (n, 80, 128)
    x = layers.LSTM(128, name="lstm")(x)  # (n, 128)
    outputs = layers.Dense(spec.classes, name="dense")(x)  # (n, 10)
    return keras.Model(inputs, outputs)
