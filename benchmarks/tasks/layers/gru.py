"""Gated recurrent units. Gates lie in the order update, reset, new; torch has reset first."""

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

GATES = ("update", "reset", "new")
FROM_TORCH = (1, 0, 2)


def _torch_parts(layer: Any) -> tuple[Part, ...]:
    """Read each layer and direction with the first two gates swapped; both biases count."""
    constants = {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True}
    return torch_stack(layer, Slot("recurrent_bias", ""), constants, FROM_TORCH)


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    """Read the bias: two rows (2, 3 * units) with ``reset_after``, else one."""
    biases: tuple[Slot, ...]
    if layer.reset_after:
        biases = (
            Slot("bias", "cell.bias", index=0),
            Slot("recurrent_bias", "cell.bias", index=1),
        )
    else:
        biases = (Slot("bias", "cell.bias"),)
    constants = {
        "recurrent_activation": function_name(layer.recurrent_activation),
        "reset_after": bool(layer.reset_after),
    }
    return (keras_part(layer, (*CELL, *biases), constants),)


def _reference(weights: Weights, x: Array, constants: Constants) -> Array:
    """Map (n, steps, in) to the states of all steps, (n, steps, units).

    With ``reset_after`` the reset gate multiplies the state's product with the recurrent kernel,
    else the state itself before that product.
    """
    outer = constants.get("activation", "tanh")
    inner = constants.get("recurrent_activation", "sigmoid")
    kernels = np.split(weights["recurrent_kernel"], 3, axis=-1)
    units = kernels[0].shape[0]
    more = np.split(weights.get("recurrent_bias", np.zeros(3 * units)), 3, axis=-1)

    def step(states: tuple[Array, ...], now: Array) -> tuple[Array, ...]:
        (state,) = states
        given = now @ weights["kernel"] + weights.get("bias", 0.0)
        update, reset, new = np.split(given, 3, axis=-1)
        update = activated(update + state @ kernels[0] + more[0], inner)
        reset = activated(reset + state @ kernels[1] + more[1], inner)
        if constants.get("reset_after", True):
            new = new + reset * (state @ kernels[2] + more[2])
        else:
            new = new + (reset * state) @ kernels[2] + more[2]
        return (update * state + (1.0 - update) * activated(new, outer),)

    return scan(x, (np.zeros((x.shape[0], units)),), step, constants)


def _misread(order: tuple[int, ...]) -> Variant:
    """Take block i of the weights for gate order[i], as a layer with that order does."""
    taken = [order.index(gate) for gate in range(len(order))]
    return lambda weights, x, constants: _reference(
        {name: blocks(array, taken) for name, array in weights.items()}, x, constants
    )


def _resetting(after: bool) -> Variant:
    return lambda weights, x, constants: _reference(weights, x, {**constants, "reset_after": after})


def _without(bias: str) -> Variant:
    """Leave one of the two biases out."""
    return lambda weights, x, constants: _reference(
        {name: array for name, array in weights.items() if name != bias}, x, constants
    )


def _one_bias(weights: Weights, x: Array, constants: Constants) -> Array:
    """Add the recurrent bias to the input's, outside of the reset gate."""
    kept = {name: array for name, array in weights.items() if name != "recurrent_bias"}
    none = np.zeros(weights["recurrent_kernel"].shape[1])
    both = weights.get("bias", none) + weights.get("recurrent_bias", none)
    return _reference({**kept, "bias": both}, x, constants)


def _flipped(weights: Weights, x: Array, constants: Constants) -> Array:
    """Keep 1 - update of the state, by the sign of the update gate's weights."""
    units = weights["recurrent_kernel"].shape[0]
    sign = np.repeat([-1.0, 1.0, 1.0], units)
    return _reference({name: array * sign for name, array in weights.items()}, x, constants)


KIND = Kind(
    name="GRU",
    torch=("GRU", "GRUCell"),
    keras=("GRU",),
    torch_parts=_torch_parts,
    keras_parts=_keras_parts,
    macs=macs,
    reference=_reference,
    variants={
        **{
            "reads its gates in the order " + ", ".join(GATES[at] for at in order): _misread(order)
            for order in permutations(range(3))
            if order != (0, 1, 2)
        },
        "resets the state before the product (reset_after=False)": _resetting(after=False),
        "resets the state after the product (reset_after=True)": _resetting(after=True),
        "adds one bias of two (the recurrent one is left out)": _without("recurrent_bias"),
        "adds one bias of two (the input's is left out)": _without("bias"),
        "adds both biases outside of the reset gate": _one_bias,
        "takes its update gate for what is new, not for what is kept": _flipped,
        **time_variants(_reference),
    },
)
