"""A target in the shape of its output: (n, 1) against (n,), and the other way round."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def as_floats(output: Any, target: Any) -> tuple[Floats, Floats]:
    """NumPy: both in float64, the target in the output's shape."""
    left, right = np.asarray(output, np.float64), np.asarray(target, np.float64)
    require_same(left.shape, right.shape)
    return left, right.reshape(left.shape)


def like_torch(output: Any, target: Any) -> Any:
    """PyTorch: the target in the output's type and shape."""
    if target.shape != output.shape:
        require_same(output.shape, target.shape)
        target = target.reshape(output.shape)
    return target.to(output.dtype)


def like_keras(output: Any, target: Any) -> Any:
    """Keras: the target in the output's type and shape; a traced batch axis may be unknown."""
    from keras import ops

    target = ops.cast(target, output.dtype)
    if tuple(target.shape) != tuple(output.shape):
        require_same(output.shape, target.shape)
        target = ops.reshape(target, ops.shape(output))
    return target


def require_same(output: Iterable[int | None], target: Iterable[int | None]) -> None:
    """Refuse shapes that differ in more than axes of length 1; ``None`` is an unknown length.

    Raises:
        ValueError: they differ; a broadcast would be another loss.
    """
    output, target = tuple(output), tuple(target)
    long, other = [n for n in output if n != 1], [n for n in target if n != 1]
    if len(long) != len(other) or any(
        a != b and a is not None and b is not None for a, b in zip(long, other, strict=True)
    ):
        raise ValueError(f"a target of shape {target} does not fit an output of shape {output}")
