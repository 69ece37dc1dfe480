"""Convolutions of one to three axes, grouped and depthwise ones among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from benchmarks.tasks.layers import Array, Constants, Kind, Part, Slot, Weights
from benchmarks.tasks.layers.dense import activated, activation_constants, present

MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}

Pairs = list[list[int]]
Padding = str | Sequence[Sequence[int]]
Strategy = Callable[[int, int, int], list[int]]


def numbers(value: Any, axes: int) -> list[int]:
    """Spell out an int or a sequence as one int for each of the axes."""
    return [value] * axes if isinstance(value, int) else [int(one) for one in value]


def reach(kernel_size: Sequence[int], dilation: Sequence[int]) -> list[int]:
    """Count the input positions from a kernel's first to its last, both included, by axis."""
    return [(k - 1) * d + 1 for k, d in zip(kernel_size, dilation, strict=True)]


def _split(total: int) -> list[int]:
    """Divide a padding over [before, after]; an odd one goes to the end."""
    return [total // 2, total - total // 2]


def same_padding(size: int, span: int, stride: int) -> list[int]:
    """Give the [before, after] of ``padding="same"`` for an axis of that size."""
    return _split(max((math.ceil(size / stride) - 1) * stride + span - size, 0))


def _alike(_size: int, span: int, _stride: int) -> list[int]:
    """Give half of the kernel's reach on both sides."""
    return [(span - 1) // 2] * 2


def _more_at_the_start(size: int, span: int, stride: int) -> list[int]:
    """Give what ``padding="same"`` gives, but with an odd one at the start."""
    return same_padding(size, span, stride)[::-1]


def _forward_order(axes: int) -> tuple[int, ...]:
    return (*range(2, axes + 2), 1, 0)


def torch_kernel(axes: int) -> Slot:
    """Read ``weight`` (filters, in/groups, *space) as kernel (*space, in/groups, filters)."""
    return Slot(
        "kernel",
        "weight",
        lambda weight: weight.transpose(_forward_order(axes)),
        lambda kernel: kernel.transpose((axes + 1, axes, *range(axes))),
    )


def _torch_padding(layer: Any, spans: Sequence[int]) -> Pairs:
    """Read a torch convolution's padding as [before, after] by axis."""
    if layer.padding == "valid":
        return [[0, 0] for _ in spans]
    if layer.padding == "same":
        return [_split(span - 1) for span in spans]
    return [[one, one] for one in numbers(layer.padding, len(spans))]


def _torch_parts(layer: Any) -> tuple[Part, ...]:
    axes = len(layer.kernel_size)
    dilation = numbers(layer.dilation, axes)
    constants: dict[str, Any] = {
        "kernel_size": list(layer.kernel_size),
        "strides": numbers(layer.stride, axes),
        "dilation": dilation,
        "groups": layer.groups,
        "padding": _torch_padding(layer, reach(layer.kernel_size, dilation)),
    }
    if layer.padding_mode != "zeros":
        constants["padding_mode"] = layer.padding_mode
    return (
        Part(slots=present(layer, torch_kernel(axes), Slot("bias", "bias")), constants=constants),
    )


def keras_padding(layer: Any) -> str | Pairs:
    """Read a Keras convolution's padding: by axis, or "same" where it depends on the size."""
    spans = reach(layer.kernel_size, layer.dilation_rate)
    if layer.padding == "valid":
        return [[0, 0] for _ in spans]
    if layer.padding == "causal":
        return [[span - 1, 0] for span in spans]
    if all(stride == 1 for stride in layer.strides):
        return [_split(span - 1) for span in spans]
    return "same"


def depthwise(attribute: str, kernel: Any) -> Slot:
    """Read a Keras depthwise kernel (*space, in, mult) as a grouped one (*space, 1, in*mult)."""
    *space, channels, multiplier = (int(one) for one in kernel.shape)
    return Slot(
        "kernel",
        attribute,
        lambda stored: stored.reshape(*space, 1, channels * multiplier),
        lambda grouped: grouped.reshape(*space, channels, multiplier),
    )


def keras_constants(layer: Any, groups: int) -> dict[str, Any]:
    """Read what decides a Keras convolution beside its weights."""
    return {
        "kernel_size": list(layer.kernel_size),
        "strides": list(layer.strides),
        "dilation": list(layer.dilation_rate),
        "groups": groups,
        "padding": keras_padding(layer),
        **activation_constants(layer),
    }


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    if hasattr(layer, "depth_multiplier"):
        slot, groups = depthwise("kernel", layer.kernel), int(layer.kernel.shape[-2])
    else:
        slot, groups = Slot("kernel", "kernel"), layer.groups
    return (
        Part(
            slots=present(layer, slot, Slot("bias", "bias")),
            constants=keras_constants(layer, groups),
        ),
    )


def _macs(
    shapes: Mapping[str, tuple[int, ...]],
    _constants: Constants,
    _input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
) -> int:
    """Count one product per output number, kernel position and input channel of the group."""
    return math.prod(output_shape) * math.prod(shapes["kernel"][:-1])


def padded(x: Array, constants: Constants, spans: Sequence[int]) -> Array:
    """Pad the axes between batch and channels as the constants say."""
    pairs: Padding = constants["padding"]
    if isinstance(pairs, str):
        sizes = x.shape[1:-1]
        pairs = [same_padding(*one) for one in zip(sizes, spans, constants["strides"], strict=True)]
    widths = [(0, 0), *((before, after) for before, after in pairs), (0, 0)]
    mode: Any = MODES.get(constants.get("padding_mode", ""), "constant")
    wider: Array = np.pad(x, widths, mode=mode)
    return wider


def convolve(weights: Weights, x: Array, constants: Constants) -> Array:
    """Map (n, *space, in) to (n, *space, filters), by a sum over the kernel's positions."""
    kernel = weights["kernel"]
    strides, dilation, groups = constants["strides"], constants["dilation"], constants["groups"]
    size = kernel.shape[:-2]
    spans = reach(size, dilation)
    x = padded(x, constants, spans)
    steps = [
        (have - span) // stride + 1
        for have, span, stride in zip(x.shape[1:-1], spans, strides, strict=True)
    ]
    inside, outside = kernel.shape[-2], kernel.shape[-1] // groups
    y = np.zeros((x.shape[0], *steps, kernel.shape[-1]))
    for position in product(*map(range, size)):
        window = x[
            (
                slice(None),
                *(
                    slice(at * rate, at * rate + (count - 1) * stride + 1, stride)
                    for at, rate, count, stride in zip(
                        position, dilation, steps, strides, strict=True
                    )
                ),
            )
        ]
        for group in range(groups):
            into = slice(group * outside, (group + 1) * outside)
            y[..., into] += (
                window[..., group * inside : (group + 1) * inside] @ kernel[position][:, into]
            )
    if "bias" in weights:
        y += weights["bias"]
    return activated(y, constants.get("activation"))


def _with_padding(strategy: Strategy) -> Callable[[Weights, Array, Constants], Array]:
    """Convolve with another padding of each axis, from its size, the kernel's reach, the stride."""

    def variant(weights: Weights, x: Array, constants: Constants) -> Array:
        spans = reach(weights["kernel"].shape[:-2], constants["dilation"])
        pairs = [
            strategy(*one) for one in zip(x.shape[1:-1], spans, constants["strides"], strict=True)
        ]
        return convolve(weights, x, {**constants, "padding": pairs})

    return variant


def _bias_left_out(weights: Weights, x: Array, constants: Constants) -> Array:
    return convolve({"kernel": weights["kernel"]}, x, constants)


def _activation(name: str) -> Callable[[Weights, Array, Constants], Array]:
    return lambda weights, x, constants: convolve(weights, x, {**constants, "activation": name})


KIND = Kind(
    name="Conv",
    torch=("Conv1d", "Conv2d", "Conv3d"),
    keras=("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D"),
    torch_parts=_torch_parts,
    keras_parts=_keras_parts,
    macs=_macs,
    reference=convolve,
    variants={
        "pads more at the end (as padding='same' does at stride 2)": _with_padding(same_padding),
        "pads more at the start": _with_padding(_more_at_the_start),
        "pads alike on both sides": _with_padding(_alike),
        "leaves its bias out": _bias_left_out,
        "applies no activation": _activation("linear"),
        "applies relu": _activation("relu"),
    },
)
