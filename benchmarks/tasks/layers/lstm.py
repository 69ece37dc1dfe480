"""Long short-term memory. Gates lie in the order input, forget, cell, output in both dialects."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

from benchmarks.tasks.layers import Array, Constants, Kind, Part, Slot, Variant, Weights
from benchmarks.tasks.layers.dense import activated, function_name
from benchmarks.tasks.layers.rnn import (
    CELL,
    blocks,
    keras_part,
    macs,
    scan,
    time_variants,
    torch_stack,
)

GATES = ("input", "forget", "cell", "output")


def _torch_parts(layer: Any) -> tuple[Part, ...]:
    """Read each layer and direction; its second bias is spare."""
    constants = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    return torch_stack(layer, Slot("spare_bias", "", spare=True), constants)


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    constants = {"recurrent_activation": function_name(layer.recurrent_activation)}
    return (keras_part(layer, (*CELL, Slot("bias", "cell.bias")), constants),)


def _reference(weights: Weights, x: Array, constants: Constants) -> Array:
    """Map (n, steps, in) to the states of all steps, (n, steps, units).

    Where there is a projection kernel (units, projected), the states are the projected ones.
    """
    outer = constants.get("activation", "tanh")
    inner = constants.get("recurrent_activation", "sigmoid")

    def step(states: tuple[Array, ...], now: Array) -> tuple[Array, ...]:
        hidden, carry = states
        y = now @ weights["kernel"] + hidden @ weights["recurrent_kernel"]
        into, forget, cell, out = np.split(y + weights.get("bias", 0.0), 4, axis=-1)
        carry = activated(forget, inner) * carry + activated(into, inner) * activated(cell, outer)
        hidden = activated(out, inner) * activated(carry, outer)
        if "projection_kernel" in weights:
            hidden = hidden @ weights["projection_kernel"]
        return hidden, carry

    width, four = weights["recurrent_kernel"].shape
    start = (np.zeros((x.shape[0], width)), np.zeros((x.shape[0], four // 4)))
    return scan(x, start, step, constants)


def _misread(order: tuple[int, ...]) -> Variant:
    """Take block i of the weights for gate order[i], as a layer with that order does."""
    taken = [order.index(gate) for gate in range(len(order))]

    def variant(weights: Weights, x: Array, constants: Constants) -> Array:
        turned = {
            name: array if name == "projection_kernel" else blocks(array, taken)
            for name, array in weights.items()
        }
        return _reference(turned, x, constants)

    return variant


def _forget_one(weights: Weights, x: Array, constants: Constants) -> Array:
    """Add one to the forget gate's bias."""
    four = weights["recurrent_kernel"].shape[1]
    one = np.repeat([0.0, 1.0, 0.0, 0.0], four // 4)
    return _reference({**weights, "bias": weights.get("bias", 0.0) + one}, x, constants)


def _inner(name: str) -> Variant:
    return lambda weights, x, constants: _reference(
        weights, x, {**constants, "recurrent_activation": name}
    )


KIND = Kind(
    name="LSTM",
    torch=("LSTM", "LSTMCell"),
    keras=("LSTM",),
    torch_parts=_torch_parts,
    keras_parts=_keras_parts,
    macs=macs,
    reference=_reference,
    variants={
        **{
            "reads its gates in the order " + ", ".join(GATES[at] for at in order): _misread(order)
            for order in permutations(range(4))
            if order != (0, 1, 2, 3)
        },
        "adds 1 to its forget gate at each step": _forget_one,
        "applies tanh to its gates": _inner("tanh"),
        **time_variants(_reference),
    },
)
