"""Tables of vectors, looked up by index."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.tasks.layers import Array, Constants, Kind, Part, Slot, Weights
from benchmarks.tasks.layers.layer_norm import no_macs


def _torch_parts(layer: Any) -> tuple[Part, ...]:
    constants: dict[str, Any] = {"padding_idx": layer.padding_idx}
    if layer.max_norm is not None:
        constants["max_norm"] = float(layer.max_norm)
    return (Part(slots=(Slot("table", "weight"),), constants=constants),)


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    return (
        Part(
            slots=(Slot("table", "embeddings"),),
            constants={"mask_zero": bool(layer.mask_zero)},
        ),
    )


def _reference(weights: Weights, x: Array, _constants: Constants) -> Array:
    """Map indices (n, ...) to vectors (n, ..., units)."""
    found: Array = weights["table"][x.astype("int64")]
    return found


def _root_scaled(weights: Weights, x: Array, constants: Constants) -> Array:
    return _reference(weights, x, constants) * math.sqrt(weights["table"].shape[-1])


KIND = Kind(
    name="Embedding",
    torch=("Embedding",),
    keras=("Embedding",),
    torch_parts=_torch_parts,
    keras_parts=_keras_parts,
    macs=no_macs,
    reference=_reference,
    variants={"scales by sqrt(units)": _root_scaled},
)
