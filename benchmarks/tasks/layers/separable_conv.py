"""Keras' separable convolutions: a depthwise part, then a pointwise one, both grouped forms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from benchmarks.tasks.layers import Constants, Kind, Part, Slot
from benchmarks.tasks.layers.conv import convolve, depthwise, keras_constants
from benchmarks.tasks.layers.dense import activation_constants, present


def _no_parts(_layer: Any) -> tuple[Part, ...]:
    """Give nothing: torch has no such class."""
    return ()


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    """Read the depthwise kernel as (*space, 1, in*mult), the pointwise as it is, and the bias."""
    channels = int(layer.depthwise_kernel.shape[-2])
    first = keras_constants(layer, channels)
    first.pop("activation", None)
    ones = [1 for _ in layer.kernel_size]
    second = {
        "kernel_size": ones,
        "strides": ones,
        "dilation": ones,
        "groups": 1,
        "padding": [[0, 0] for _ in ones],
        **activation_constants(layer),
    }
    return (
        Part(
            slots=(depthwise("depthwise_kernel", layer.depthwise_kernel),),
            constants=first,
            suffix="depthwise",
        ),
        Part(
            slots=present(layer, Slot("kernel", "pointwise_kernel"), Slot("bias", "bias")),
            constants=second,
            suffix="pointwise",
        ),
    )


def _macs(
    shapes: Mapping[str, tuple[int, ...]],
    _constants: Constants,
    _input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
) -> int:
    """Count a part's products: its whole kernel at each output position of the layer."""
    return math.prod(output_shape[:-1]) * math.prod(shapes["kernel"])


KIND = Kind(
    name="SeparableConv",
    torch=(),
    keras=("SeparableConv1D", "SeparableConv2D"),
    torch_parts=_no_parts,
    keras_parts=_keras_parts,
    macs=_macs,
    reference=convolve,
)
