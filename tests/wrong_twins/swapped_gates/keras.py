"""The small LSTM in Keras, as it should be."""

import keras
from keras import layers

from benchmarks.models._spec import ModelSpec


def build(spec: ModelSpec) -> keras.Model:
    """The model, its weights not yet set."""
    inputs = keras.Input(spec.input_shape, dtype="int32")  # (n, 5) token ids
    x = layers.Embedding(spec.vocabulary or 0, 6, name="embedding")(inputs)  # (n, 5, 6)
    x = layers.LSTM(4, name="lstm")(x)  # (n, 4)
    outputs = layers.Dense(spec.classes, name="dense")(x)  # (n, 3)
    return keras.Model(inputs, outputs)
