"""How Keras stores what every twin has: the canonical layout itself, so a rule is a name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from benchmarks.inputs import channels_first
from benchmarks.models._spec import LSTM, BatchNorm, Conv2D, Dense, Embedding, Layer, ModelSpec
from benchmarks.weights import Weights

GRID_RANK = 2
"""Height and width: what has them is an image."""

_ATTRIBUTES: dict[type, dict[str, str]] = {
    Conv2D: {"kernel": "kernel", "bias": "bias"},
    Dense: {"kernel": "kernel", "bias": "bias"},
    BatchNorm: {
        "gamma": "gamma",
        "beta": "beta",
        "mean": "moving_mean",
        "variance": "moving_variance",
    },
    Embedding: {"table": "embeddings"},
    LSTM: {"kernel": "kernel", "recurrent_kernel": "recurrent_kernel", "bias": "bias"},
}


def compute_in_float64() -> None:
    """Have Keras keep float64, for the proof, in the results of operations.

    On every backend but TensorFlow it narrows them to float32 (JAX's own default), whatever
    ``floatx`` says.

    Raises:
        RuntimeError: this release of Keras does that elsewhere.
    """
    from keras.src.backend.common import dtypes

    narrowed: dict[str, str] = getattr(dtypes, "BIT64_TO_BIT32_DTYPE", {})
    narrowed["float64"] = "float64"
    if keras.backend.result_type("float64", "float64") != "float64":
        raise RuntimeError(f"Keras {keras.__version__} does not compute in float64")


def laid_out(spec: ModelSpec) -> ModelSpec:
    """The model as a twin builds it here: channels first, where Keras is set so."""
    *grid, channels = spec.input_shape
    if len(grid) != GRID_RANK or keras.config.image_data_format() == "channels_last":
        return spec
    layers = spec.layers
    return replace(spec, input_shape=(channels, *grid), architecture=lambda _: layers)


def images(array: NDArray[Any]) -> NDArray[Any]:
    """Images (n, h, w, c) as a twin takes them here; anything else as it is."""
    first = keras.config.image_data_format() == "channels_first"
    return channels_first(array) if first else array


def load(model: keras.Model, layers: Sequence[Layer], weights: Weights) -> None:
    """Copy canonical weights into the model, in its own precision and on its own device.

    Raises:
        ValueError: the model lacks a layer, or a shape does not fit.
    """
    for key, variable in variables(model, layers):
        if tuple(variable.shape) != weights[key].shape:
            raise ValueError(
                f"{key}: {tuple(variable.shape)} here, {weights[key].shape} in the spec"
            )
        variable.assign(weights[key])


def export(model: keras.Model, layers: Sequence[Layer]) -> Weights:
    """Canonical copies of every parameter and buffer the spec lists."""
    return {key: array(variable) for key, variable in variables(model, layers)}


def trainable(model: keras.Model, layers: Sequence[Layer]) -> dict[str, Any]:
    """The variables that gradients reach, by canonical name."""
    reached = {id(variable) for variable in model.trainable_variables}
    return {key: v for key, v in variables(model, layers) if id(v) in reached}


def variables(model: keras.Model, layers: Sequence[Layer]) -> Iterator[tuple[str, Any]]:
    """Canonical name and variable of everything the spec lists, in its order.

    Raises:
        ValueError: the model lacks a layer.
    """
    by_name = {spec_name(layer): layer for layer in model.layers}
    for layer in layers:
        name = layer.name.replace("-", ".")
        if name not in by_name:
            raise ValueError(f"the twin in Keras has no layer {layer.name}")
        held = by_name[name]
        owner = held.cell if isinstance(layer, LSTM) else held
        for parameter in layer.parameters | layer.buffers:
            yield f"{layer.name}.{parameter}", getattr(owner, _ATTRIBUTES[type(layer)][parameter])


def spec_name(layer: keras.Layer) -> str:
    """The name of a layer as the spec and PyTorch have it.

    Keras on PyTorch takes no dot in a name, so twins write a dash instead.
    """
    return str(layer.name).replace("-", ".")


def parameter_count(model: keras.Model, layers: Sequence[Layer]) -> int:
    """Parameters of the model, running statistics not counted."""
    statistics = sum(2 * layer.channels for layer in layers if isinstance(layer, BatchNorm))
    return int(model.count_params()) - statistics


def watched(model: keras.Model) -> tuple[keras.Model, tuple[str, ...]]:
    """The same graph giving every layer's output, and the names of those layers."""
    inner = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    outputs = [layer.output for layer in inner]
    return keras.Model(model.inputs, outputs), tuple(map(spec_name, inner))


def array(tensor: Any) -> NDArray[np.float64]:
    """A float64 copy in host memory."""
    return np.array(keras.ops.convert_to_numpy(tensor), dtype=np.float64)
