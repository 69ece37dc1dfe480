"""Simple recurrent layers, and what the LSTM and the GRU share with them.

``go_backwards`` means that a part reads its steps from the last to the first. Its states are given
in the order in which they arise, as Keras does; torch turns them round before it joins them with
those of the forward direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.tasks.layers import Array, Constants, Kind, Part, Slot, Variant, Weights, attribute
from benchmarks.tasks.layers.dense import activated, function_name

TIME_FIRST = "reads axis 0 as time (batch_first is left out)"

Step = Callable[[tuple[Array, ...], Array], tuple[Array, ...]]
Reference = Callable[[Weights, Array, Constants], Array]


def blocks(array: Array, order: Sequence[int]) -> Array:
    """Reorder the equal blocks of the last axis: block i of the result is block order[i]."""
    parts = np.split(array, len(order), axis=-1)
    joined: Array = np.concatenate([parts[at] for at in order], axis=-1)
    return joined


def torch_stack(
    layer: Any, second_bias: Slot, constants: Mapping[str, Any], order: Sequence[int] = (0,)
) -> tuple[Part, ...]:
    """Read a torch recurrent layer, one part per layer and direction, or a single cell.

    ``order`` says which of torch's gates comes first, second, … in the canonical layout; it must be
    its own inverse. ``second_bias`` names ``bias_hh`` and says whether it is spare.
    """

    def turn(weight: Array) -> Array:
        return blocks(weight.T, order)

    def back(kernel: Array) -> Array:
        return blocks(kernel, order).T

    def bias(stored: Array) -> Array:
        return blocks(stored, order)

    depths, both = getattr(layer, "num_layers", None), getattr(layer, "bidirectional", False)
    several = (depths or 1) > 1 or both
    rate = float(getattr(layer, "dropout", 0.0))
    parts = []
    for depth in range(depths or 1):
        for backwards in (False, True) if both else (False,):
            end = "" if depths is None else f"_l{depth}_reverse" if backwards else f"_l{depth}"
            slots = [
                Slot("kernel", f"weight_ih{end}", turn, back),
                Slot("recurrent_kernel", f"weight_hh{end}", turn, back),
                Slot("projection_kernel", f"weight_hr{end}", np.transpose, np.transpose),
                Slot("bias", f"bias_ih{end}", bias, bias),
                Slot(second_bias.name, f"bias_hh{end}", bias, bias, spare=second_bias.spare),
            ]
            follows = rate > 0 and depth + 1 < (depths or 1)
            parts.append(
                Part(
                    slots=tuple(
                        slot for slot in slots if attribute(layer, slot.attribute) is not None
                    ),
                    constants={
                        "units": layer.hidden_size,
                        "go_backwards": backwards,
                        "batch_first": bool(getattr(layer, "batch_first", True)),
                        **constants,
                    },
                    suffix=f"{depth}{'.reverse' if backwards else ''}" if several else "",
                    drops=(("dropout", rate),) if follows else (),
                )
            )
    return tuple(parts)


def keras_part(layer: Any, slots: Sequence[Slot], constants: Mapping[str, Any]) -> Part:
    """Read a Keras recurrent layer, whose weights are its cell's."""
    rates = (
        ("input dropout", float(layer.dropout)),
        ("recurrent dropout", float(layer.recurrent_dropout)),
    )
    return Part(
        slots=tuple(slot for slot in slots if attribute(layer, slot.attribute) is not None),
        constants={
            "units": int(layer.units),
            "go_backwards": bool(layer.go_backwards),
            "activation": function_name(layer.activation),
            **constants,
        },
        drops=tuple((what, rate) for what, rate in rates if rate > 0),
    )


CELL = (Slot("kernel", "cell.kernel"), Slot("recurrent_kernel", "cell.recurrent_kernel"))


def macs(
    shapes: Mapping[str, tuple[int, ...]],
    _constants: Constants,
    input_shape: tuple[int, ...],
    _output_shape: tuple[int, ...],
) -> int:
    """Count each kernel once for each step of (steps, in), or for the one of a cell, (in,)."""
    kernels = ("kernel", "recurrent_kernel", "projection_kernel")
    steps = input_shape[0] if len(input_shape) > 1 else 1
    return steps * sum(math.prod(shapes[name]) for name in kernels if name in shapes)


def scan(x: Array, start: tuple[Array, ...], step: Step, constants: Constants) -> Array:
    """Run steps over (n, steps, in) and stack the first state of each as (n, steps, units)."""
    order = range(x.shape[1])
    states, found = start, []
    for at in reversed(order) if constants.get("go_backwards") else order:
        states = step(states, x[:, at])
        found.append(states[0])
    return np.stack(found, axis=1)


def time_variants(reference: Reference) -> dict[str, Variant]:
    """Give the reference with time and batch confused, and with time reversed."""

    def time_first(weights: Weights, x: Array, constants: Constants) -> Array:
        return reference(weights, x.swapaxes(0, 1), constants).swapaxes(0, 1)

    def reversed_time(weights: Weights, x: Array, constants: Constants) -> Array:
        backwards = not constants.get("go_backwards", False)
        return reference(weights, x, {**constants, "go_backwards": backwards})

    return {TIME_FIRST: time_first, "reads its steps in the opposite direction": reversed_time}


def _torch_parts(layer: Any) -> tuple[Part, ...]:
    return torch_stack(
        layer, Slot("spare_bias", "", spare=True), {"activation": layer.nonlinearity}
    )


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    return (keras_part(layer, (*CELL, Slot("bias", "cell.bias")), {}),)


def _reference(weights: Weights, x: Array, constants: Constants) -> Array:
    """Map (n, steps, in) to the states of all steps, (n, steps, units)."""

    def step(states: tuple[Array, ...], now: Array) -> tuple[Array, ...]:
        y = now @ weights["kernel"] + states[0] @ weights["recurrent_kernel"]
        return (activated(y + weights.get("bias", 0.0), constants.get("activation", "tanh")),)

    start = np.zeros((x.shape[0], weights["recurrent_kernel"].shape[0]))
    return scan(x, (start,), step, constants)


def _with_activation(name: str) -> Variant:
    return lambda weights, x, constants: _reference(weights, x, {**constants, "activation": name})


def _turned(weights: Weights, x: Array, constants: Constants) -> Array:
    turned = {**weights, "recurrent_kernel": weights["recurrent_kernel"].T}
    return _reference(turned, x, constants)


KIND = Kind(
    name="RNN",
    torch=("RNN", "RNNCell"),
    keras=("SimpleRNN",),
    torch_parts=_torch_parts,
    keras_parts=_keras_parts,
    macs=macs,
    reference=_reference,
    variants={
        "applies relu": _with_activation("relu"),
        "applies tanh": _with_activation("tanh"),
        "reads its recurrent kernel transposed": _turned,
        **time_variants(_reference),
    },
)
