"""The small net in Keras with the epsilon that its layer has unless told otherwise."""

import keras

from benchmarks.models._spec import ModelSpec
from tests.wrong_twins._net.keras import build as build_net


def build(spec: ModelSpec) -> keras.Model:
    """The model, its weights not yet set."""
    return build_net(spec, epsilon=1e-3)
