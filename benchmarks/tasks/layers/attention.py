"""Attention with several heads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.tasks.layers import Array, Constants, Kind, Part, Slot, Weights, attribute
from benchmarks.tasks.layers.dense import activated

PROJECTIONS = ("query", "key", "value")


def _torch_slots(layer: Any) -> list[Slot]:
    """List the slots, a projection's rows of the stacked weight among them."""
    width = layer.embed_dim
    stacked = getattr(layer, "in_proj_weight", None) is not None
    slots = []
    for at, name in enumerate(PROJECTIONS):
        rows = slice(at * width, (at + 1) * width)
        where = "in_proj_weight" if stacked else f"{name[0]}_proj_weight"
        slots.append(
            Slot(
                f"{name}_kernel",
                where,
                np.transpose,
                np.transpose,
                index=rows if stacked else ...,
            )
        )
        slots.append(Slot(f"{name}_bias", "in_proj_bias", index=rows))
    slots.extend(
        _reshaped(f"extra_{name}", f"bias_{name[0]}", (width,), (1, 1, width))
        for name in ("key", "value")
    )
    slots.append(Slot("output_kernel", "out_proj.weight", np.transpose, np.transpose))
    slots.append(Slot("output_bias", "out_proj.bias"))
    return slots


def _existing(layer: Any, slots: list[Slot]) -> tuple[Slot, ...]:
    return tuple(slot for slot in slots if attribute(layer, slot.attribute) is not None)


def _drops(rate: float) -> tuple[tuple[str, float], ...]:
    return (("attention dropout", float(rate)),) if rate > 0 else ()


def _torch_parts(layer: Any) -> tuple[Part, ...]:
    """Read the projections as kernels (in, heads*head_dim) and (heads*head_dim, out)."""
    constants: dict[str, Any] = {
        "heads": layer.num_heads,
        "head_dim": layer.head_dim,
        "batch_first": bool(layer.batch_first),
    }
    if layer.add_zero_attn:
        constants["zero_attention"] = True
    return (
        Part(
            slots=_existing(layer, _torch_slots(layer)),
            constants=constants,
            drops=_drops(layer.dropout),
        ),
    )


def _reshaped(name: str, where: str, turned: tuple[int, ...], stored: tuple[int, ...]) -> Slot:
    """Read one stored shape as another."""
    return Slot(
        name, where, lambda array: array.reshape(turned), lambda array: array.reshape(stored)
    )


def _keras_slots(layer: Any) -> list[Slot]:
    """List the slots; kernels are stored (in, heads, head_dim) and (heads, head_dim, out)."""
    slots = []
    for name in (*PROJECTIONS, "gate"):
        kernel = attribute(layer, f"_{name}_dense.kernel")
        if kernel is None:
            continue
        into, heads, dim = (int(size) for size in kernel.shape)
        where = f"_{name}_dense"
        slots.append(
            _reshaped(f"{name}_kernel", f"{where}.kernel", (into, heads * dim), (into, heads, dim))
        )
        slots.append(_reshaped(f"{name}_bias", f"{where}.bias", (heads * dim,), (heads, dim)))
    heads, dim, *out = (int(size) for size in layer._output_dense.kernel.shape)  # noqa: SLF001
    slots.append(
        _reshaped("output_kernel", "_output_dense.kernel", (heads * dim, *out), (heads, dim, *out))
    )
    slots.append(Slot("output_bias", "_output_dense.bias"))
    return slots


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    constants: dict[str, Any] = {"heads": int(layer.num_heads), "head_dim": int(layer.key_dim)}
    if getattr(layer, "_sliding_window", None) is not None:
        constants["sliding_window"] = int(layer._sliding_window)  # noqa: SLF001
    return (
        Part(
            slots=_existing(layer, _keras_slots(layer)),
            constants=constants,
            drops=_drops(layer.dropout),
        ),
    )


def _macs(
    shapes: Mapping[str, tuple[int, ...]],
    constants: Constants,
    input_shape: tuple[int, ...],
    _output_shape: tuple[int, ...],
) -> int:
    """Count the projections of (q, d), the scores, and the weighted sums, as self-attention."""
    steps = math.prod(input_shape[:-1])
    names = [f"{name}_kernel" for name in (*PROJECTIONS, "gate", "output")]
    projections = steps * sum(math.prod(shapes[name]) for name in names if name in shapes)
    keys = input_shape[-2]
    width: int = constants["heads"] * constants["head_dim"] + shapes["value_kernel"][-1]
    return projections + steps * keys * width


def attend(
    weights: Weights,
    inputs: tuple[Array, Array, Array],
    constants: Constants,
    scale: float | None = None,
) -> Array:
    """Map query (n, q, d), key (n, k, d'), value (n, k, d'') to (n, q, out), without a mask.

    ``scale`` multiplies the scores, by default 1 / sqrt(head_dim).
    """
    heads = constants["heads"]
    projected = {}
    for name, given in zip(PROJECTIONS, inputs, strict=True):
        y = given @ weights[f"{name}_kernel"] + weights.get(f"{name}_bias", 0.0)
        more = []
        if f"extra_{name}" in weights:
            more.append(np.broadcast_to(weights[f"extra_{name}"], (len(y), 1, y.shape[-1])))
        if name != "query" and constants.get("zero_attention"):
            more.append(np.zeros((len(y), 1, y.shape[-1])))
        y = np.concatenate([y, *more], axis=1)
        projected[name] = y.reshape(*y.shape[:2], heads, -1).transpose(0, 2, 1, 3)
    query, key, value = (projected[name] for name in PROJECTIONS)
    scores = query @ key.transpose(0, 1, 3, 2)
    scores = scores * (1.0 / math.sqrt(query.shape[-1]) if scale is None else scale)
    window = constants.get("sliding_window")
    if window is not None:
        apart = np.abs(np.arange(scores.shape[-2])[:, None] - np.arange(scores.shape[-1]))
        scores = np.where(apart < window, scores, -np.inf)
    mixed = (activated(scores, "softmax") @ value).transpose(0, 2, 1, 3)
    mixed = mixed.reshape(*mixed.shape[:2], -1)
    if "gate_kernel" in weights:
        gate = inputs[0] @ weights["gate_kernel"] + weights.get("gate_bias", 0.0)
        mixed = mixed * activated(gate, "sigmoid")
    out: Array = mixed @ weights["output_kernel"] + weights.get("output_bias", 0.0)
    return out


def _reference(weights: Weights, x: Array, constants: Constants) -> Array:
    """Map (n, q, d) to (n, q, out): self-attention without a mask."""
    return attend(weights, (x, x, x), constants)


def _scaled_by(power: float) -> Callable[[Weights, Array, Constants], Array]:
    return lambda weights, x, constants: attend(
        weights, (x, x, x), constants, constants["head_dim"] ** power
    )


def _causal(weights: Weights, x: Array, constants: Constants) -> Array:
    """Attend from each step to itself and those before it, one query at a time."""
    rows = [
        attend(weights, (x[:, at : at + 1], x[:, : at + 1], x[:, : at + 1]), constants)
        for at in range(x.shape[1])
    ]
    return np.concatenate(rows, axis=1)


def _swapped(weights: Weights, x: Array, constants: Constants) -> Array:
    return _reference(weights, x.swapaxes(0, 1), constants).swapaxes(0, 1)


def _dim_heads(weights: Weights, x: Array, constants: Constants) -> Array:
    """Read the projected width as (head_dim, heads), not (heads, head_dim)."""
    heads = constants["heads"]

    def turned(name: str, array: Array) -> Array:
        if name.startswith(("output", "extra")):
            return array
        return array.reshape(*array.shape[:-1], -1, heads).swapaxes(-1, -2).reshape(array.shape)

    return _reference({name: turned(name, array) for name, array in weights.items()}, x, constants)


KIND = Kind(
    name="MultiHeadAttention",
    torch=("MultiheadAttention",),
    keras=("MultiHeadAttention",),
    torch_parts=_torch_parts,
    keras_parts=_keras_parts,
    macs=_macs,
    reference=_reference,
    variants={
        "does not divide by sqrt(head_dim)": _scaled_by(0.0),
        "divides by head_dim, not by its root": _scaled_by(-1.0),
        "hides later steps (a causal mask)": _causal,
        "reads axis 0 as time (batch_first is left out)": _swapped,
        "reads its projections as (head_dim, heads)": _dim_heads,
    },
)
