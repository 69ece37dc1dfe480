"""Transposed convolutions of one to three axes.

``padding`` is what is cut from the whole output, [before, after] by axis. ``output_padding`` makes
the cut at the end smaller, and a negative cut adds positions that hold the bias alone. In this form
both dialects say the same with the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np

from benchmarks.tasks.layers import Array, Constants, Kind, Part, Slot, Weights
from benchmarks.tasks.layers.conv import numbers, reach
from benchmarks.tasks.layers.dense import activated, activation_constants, present


def _torch_parts(layer: Any) -> tuple[Part, ...]:
    """Read ``weight`` (in, filters/groups, *space) as kernel (*space, filters/groups, in)."""
    axes = len(layer.kernel_size)
    kernel = Slot(
        "kernel",
        "weight",
        lambda weight: weight.transpose((*range(2, axes + 2), 1, 0)),
        lambda stored: stored.transpose((axes + 1, axes, *range(axes))),
    )
    more = numbers(layer.output_padding, axes)
    constants = {
        "kernel_size": list(layer.kernel_size),
        "strides": numbers(layer.stride, axes),
        "dilation": numbers(layer.dilation, axes),
        "groups": layer.groups,
        "padding": [
            [cut, cut - extra]
            for cut, extra in zip(numbers(layer.padding, axes), more, strict=True)
        ],
    }
    return (Part(slots=present(layer, kernel, Slot("bias", "bias")), constants=constants),)


def _keras_cut(padding: str, span: int, stride: int, extra: int | None) -> list[int]:
    """Give the cut [before, after] along one axis.

    With "valid" the output has (n - 1) * stride + max(span, stride) positions; with "same" it has
    n * stride, or (n - 1) * stride + span % 2 + output_padding. An odd cut is larger at the end
    with "same", and never below zero at the start.
    """
    if padding == "valid":
        return [0, -(max(span, stride) - span if extra is None else extra)]
    total = span - stride if extra is None else span - span % 2 - extra
    before = max(total // 2, 0)
    return [before, total - before]


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    """Read ``kernel`` (*space, filters, in) as it is."""
    axes = len(layer.kernel_size)
    more = [None] * axes if layer.output_padding is None else numbers(layer.output_padding, axes)
    spans = reach(layer.kernel_size, layer.dilation_rate)
    constants = {
        "kernel_size": list(layer.kernel_size),
        "strides": list(layer.strides),
        "dilation": list(layer.dilation_rate),
        "groups": 1,
        "padding": [
            _keras_cut(layer.padding, span, stride, extra)
            for span, stride, extra in zip(spans, layer.strides, more, strict=True)
        ],
        **activation_constants(layer),
    }
    slots = present(layer, Slot("kernel", "kernel"), Slot("bias", "bias"))
    return (Part(slots=slots, constants=constants),)


def _macs(
    shapes: Mapping[str, tuple[int, ...]],
    _constants: Constants,
    input_shape: tuple[int, ...],
    _output_shape: tuple[int, ...],
) -> int:
    """Count one product per input number, kernel position and filter of the group."""
    return math.prod(input_shape) * math.prod(shapes["kernel"][:-1])


def _reference(weights: Weights, x: Array, constants: Constants) -> Array:
    """Map (n, *space, in) to (n, *space, filters): spread each input over the kernel, then cut."""
    kernel = weights["kernel"]
    strides, dilation, groups = constants["strides"], constants["dilation"], constants["groups"]
    size = kernel.shape[:-2]
    space = x.shape[1:-1]
    whole = [
        (have - 1) * stride + span
        for have, stride, span in zip(space, strides, reach(size, dilation), strict=True)
    ]
    outside, inside = kernel.shape[-2], kernel.shape[-1] // groups
    y = np.zeros((x.shape[0], *whole, outside * groups))
    for position in product(*map(range, size)):
        where = tuple(
            slice(at * rate, at * rate + (have - 1) * stride + 1, stride)
            for at, rate, have, stride in zip(position, dilation, space, strides, strict=True)
        )
        for group in range(groups):
            taken = slice(group * inside, (group + 1) * inside)
            into = slice(group * outside, (group + 1) * outside)
            y[(slice(None), *where, into)] += x[..., taken] @ kernel[position][:, taken].T
    for axis, (before, after) in enumerate(constants["padding"], start=1):
        wider = [(0, 0)] * y.ndim
        wider[axis] = (max(-before, 0), max(-after, 0))
        y = np.pad(y, wider)
        kept = slice(max(before, 0), y.shape[axis] - max(after, 0))
        y = y[(slice(None),) * axis + (kept,)]
    if "bias" in weights:
        y = y + weights["bias"]
    return activated(y, constants.get("activation"))


def _moved(by: int) -> Callable[[Weights, Array, Constants], Array]:
    """Move the kept window of each axis: 1 cuts one more at the start, -1 one more at the end."""

    def variant(weights: Weights, x: Array, constants: Constants) -> Array:
        cuts = [[before + by, after - by] for before, after in constants["padding"]]
        return _reference(weights, x, {**constants, "padding": cuts})

    return variant


def _swapped(weights: Weights, x: Array, constants: Constants) -> Array:
    return _reference(
        weights, x, {**constants, "padding": [pair[::-1] for pair in constants["padding"]]}
    )


KIND = Kind(
    name="ConvTranspose",
    torch=("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"),
    keras=("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    torch_parts=_torch_parts,
    keras_parts=_keras_parts,
    macs=_macs,
    reference=_reference,
    variants={
        "crops one more at the start": _moved(1),
        "crops one more at the end": _moved(-1),
        "swaps its crops at the start and at the end": _swapped,
    },
)
