"""The mean that Keras' losses share."""

from __future__ import annotations

from typing import Any


def keras_mean(value: Any, axis: int | None = None) -> Any:
    """The mean over ``axis``, or over all elements.

    Keras' own takes float64 through float32 on JAX and PyTorch; there, the sum is divided by the
    number of elements. Its own stays for less precise values, whose sum might overflow.
    """
    from keras import ops

    if "float64" not in str(value.dtype):
        return ops.mean(value, axis=axis)
    shape = ops.shape(value)
    count = ops.size(value) if axis is None else shape[axis]
    return ops.sum(value, axis=axis) / ops.cast(count, value.dtype)
