"""Seeded weights in one canonical layout, so that no file of a framework is ever read.

A parameter's values depend on the seed and its own name alone: adding a layer moves no other.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.models._spec import Layer

Weights: TypeAlias = dict[str, NDArray[np.float64]]


def generate(layers: Sequence[Layer], seed: int) -> Weights:
    """Weights for every parameter and buffer, keyed ``layer.parameter``.

    Kernels follow He et al. 2015 (normal, variance 2 / fan-in); biases, scales, shifts and running
    statistics are drawn too, because a zero or a one hides a swapped or forgotten parameter. The
    values are representable in float32, so every precision starts from the same numbers.
    """
    weights = {}
    for layer in layers:
        for parameter, shape in (layer.parameters | layer.buffers).items():
            name = f"{layer.name}.{parameter}"
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            values = _draw(layer, parameter, shape, rng)
            weights[name] = values.astype(np.float32).astype(np.float64)
    return weights


def digest(weights: Weights) -> str:
    """SHA-256 over names, shapes and float64 bytes, in name order."""
    sha = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name], dtype="<f8")
        sha.update(f"{name}{array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def _draw(
    layer: Layer, parameter: str, shape: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.float64]:
    normal = rng.standard_normal(shape)
    match parameter:
        case "gamma":
            return getattr(layer, "scale", 1.0) * (1.0 + 0.1 * normal)
        case "variance":
            return rng.uniform(0.5, 1.5, shape)
        case "bias" | "beta" | "mean":
            return 0.1 * normal
        case "recurrent_kernel":
            return normal / math.sqrt(shape[0])
        case "table":
            return normal
    return normal * math.sqrt(2.0 / math.prod(shape[:-1]))
