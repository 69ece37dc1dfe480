"""Group normalization."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks.layers import Array, Constants, Kind, Part, Slot, Weights
from benchmarks.tasks.layers.dense import present
from benchmarks.tasks.layers.layer_norm import epsilon_variants, no_macs, normalized, scaled


def _torch_parts(layer: Any) -> tuple[Part, ...]:
    return (
        Part(
            slots=present(layer, Slot("gamma", "weight"), Slot("beta", "bias")),
            constants={"epsilon": float(layer.eps), "groups": layer.num_groups},
        ),
    )


def _keras_parts(layer: Any) -> tuple[Part, ...]:
    return (
        Part(
            slots=present(layer, Slot("gamma", "gamma"), Slot("beta", "beta")),
            constants={"epsilon": float(layer.epsilon), "groups": layer.groups},
        ),
    )


def _reference(weights: Weights, x: Array, constants: Constants) -> Array:
    """Normalize each sample of (n, *space, channels) over its space and each group of channels."""
    groups = constants["groups"]
    split = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    axes = (*range(1, x.ndim - 1), x.ndim)
    return scaled(normalized(split, axes, constants["epsilon"]).reshape(x.shape), weights)


def _interleaved(weights: Weights, x: Array, constants: Constants) -> Array:
    """Take every groups-th channel as a group, not neighbours."""
    groups = constants["groups"]
    split = x.reshape(*x.shape[:-1], x.shape[-1] // groups, groups)
    axes = tuple(range(1, x.ndim))
    return scaled(normalized(split, axes, constants["epsilon"]).reshape(x.shape), weights)


KIND = Kind(
    name="GroupNorm",
    torch=("GroupNorm",),
    keras=("GroupNormalization",),
    torch_parts=_torch_parts,
    keras_parts=_keras_parts,
    macs=no_macs,
    reference=_reference,
    variants={
        **epsilon_variants(_reference),
        "takes channels that are apart into one group": _interleaved,
    },
)
