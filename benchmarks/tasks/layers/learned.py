"""Layers of one learnt array that is added, put in front, or multiplied, of our own models."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks.layers import Kind, Part, Slot
from benchmarks.tasks.layers.dense import present
from benchmarks.tasks.layers.layer_norm import no_macs

NAMES = ("ClassToken", "LayerScale", "Positions")
"""Classes of ``benchmarks.models._learned``, in both dialects."""


def _parts(layer: Any) -> tuple[Part, ...]:
    """Read the array, which lies alike in both dialects."""
    slots = present(layer, Slot("gamma", "gamma"), Slot("table", "table"))
    constants = {"does": next(c.__name__ for c in type(layer).__mro__ if c.__name__ in NAMES)}
    return (Part(slots=slots, constants=constants),)


KIND = Kind(
    name="Learned",
    torch=NAMES,
    keras=NAMES,
    torch_parts=_parts,
    keras_parts=_parts,
    macs=no_macs,
)
