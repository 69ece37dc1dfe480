"""Seeded values for canonical weights: each depends on the seed and its own key alone."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.task import TaskError

SAME = 1e-6
"""Values whose deviation is no larger a share of their mean are all the same."""


def generate(
    keys: Mapping[str, Mapping[str, Any]], seed: int, *, alike: bool = False
) -> dict[str, NDArray[np.float64]]:
    """Values for every key.

    Kernels are normal with variance 2 / fan-in (He et al. 2015); biases, scales, shifts and running
    statistics are drawn too, because a zero or a one hides a swapped or forgotten weight; biases
    that all start at one value lie about it. Values are representable in float32.

    Args:
        keys: by canonical key, ``shape``, ``name`` (``kernel``, ``gamma``, …), ``kind`` of the
            layer, and ``start``: mean and deviation of the values that the PyTorch twin began with.
        seed: of all values.
        alike: draw by kind, name and shape instead of by key, so that weights that could be
            mistaken for one another are equal.
    """
    made = {}
    for key, one in keys.items():
        shape, name = tuple(one["shape"]), str(one["name"])
        drawn_by = f"{one['kind']} {name} {shape}" if alike else key
        rng = np.random.default_rng([seed, zlib.crc32(drawn_by.encode())])
        drawn = _draw(name, shape, one["start"], rng)
        made[key] = drawn.astype(np.float32).astype(np.float64)
    return made


def overlaid(
    values: dict[str, NDArray[np.float64]], stored: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.float64]]:
    """The values, with those that are stored in their place.

    Raises:
        TaskError: a stored one has another shape, or the model has no such weight.
    """
    for key, held in stored.items():
        if key not in values:
            raise TaskError(f"stored weights: the model has no {key}")
        if held.shape != values[key].shape:
            there, here = ("x".join(map(str, one.shape)) for one in (held, values[key]))
            raise TaskError(f"stored weights: {key} is {there} there and {here} here")
    return values | {key: held.astype(np.float64) for key, held in stored.items()}


def digest(values: Mapping[str, NDArray[np.float64]]) -> str:
    """SHA-256 over keys, shapes and float64 bytes, in the order of keys."""
    sha = hashlib.sha256()
    for key in sorted(values):
        array = np.ascontiguousarray(values[key], dtype="<f8")
        sha.update(f"{key}{array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def _draw(
    name: str, shape: tuple[int, ...], start: Any, rng: np.random.Generator
) -> NDArray[np.float64]:
    normal = np.asarray(rng.standard_normal(shape))
    mean, deviation = start
    if name == "variance":
        return np.asarray(rng.uniform(0.5, 1.5, shape))
    if name == "gamma":
        return np.asarray((mean or 1.0) * (1.0 + 0.1 * normal))
    if name in {"bias", "beta", "mean"} or name.endswith("_bias"):
        prior = mean if deviation <= SAME * abs(mean) and normal.size > 1 else 0.0
        return np.asarray(prior + 0.1 * normal)
    if name == "recurrent_kernel":
        return normal / math.sqrt(shape[0])
    if name == "table":
        return normal
    if name.endswith("kernel"):
        return normal * math.sqrt(2.0 / max(1, math.prod(shape[:-1])))
    if deviation == 0.0:  # a weight of an own layer that starts constant
        return np.asarray(mean * (1.0 + 0.1 * normal) if mean else 0.1 * normal)
    if len(shape) > 1:
        return normal * math.sqrt(1.0 / max(1, math.prod(shape[:-1])))
    return np.asarray(mean + deviation * normal)
