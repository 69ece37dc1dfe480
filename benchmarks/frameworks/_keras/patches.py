"""Changes to private parts of Keras that the proof needs, checked with Keras 3.15.1.

``tests/test_frameworks_keras.py`` fails where one of them stops working.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def compute_in_float64() -> None:
    """Have Keras keep float64, for the proof, in the results of operations.

    On every backend but TensorFlow it narrows them to float32 (JAX's own default), whatever
    ``floatx`` says.

    Raises:
        RuntimeError: this release of Keras does that elsewhere.
    """
    import keras
    from keras.src.backend.common import dtypes

    narrowed: dict[str, str] = getattr(dtypes, "BIT64_TO_BIT32_DTYPE", {})
    narrowed["float64"] = "float64"
    if keras.backend.result_type("float64", "float64") != "float64":
        raise RuntimeError(f"Keras {keras.__version__} does not compute in float64")


@contextmanager
def exact_gelu() -> Iterator[list[float]]:
    """Replace Keras' GELU on TensorFlow, which rounds the square root of 2 to float32.

    Yields:
        The largest relative L2 difference of each call from what TensorFlow computes.
    """
    import keras
    from keras.src import backend

    own = backend.nn.gelu
    differences: list[float] = []

    def gelu(x: Any, approximate: bool = True) -> Any:
        ops = keras.ops
        if approximate:
            inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)
            exact = 0.5 * x * (1.0 + ops.tanh(inner))
        else:
            exact = 0.5 * x * (1.0 + ops.erf(x / math.sqrt(2.0)))
        size = float(ops.norm(ops.reshape(exact, (-1,))))
        apart = float(ops.norm(ops.reshape(exact - own(x, approximate), (-1,))))
        differences.append(apart / size if size else apart)
        return exact

    if keras.backend.backend() == "tensorflow":
        backend.nn.gelu = gelu
    try:
        yield differences
    finally:
        backend.nn.gelu = own


@contextmanager
def calls(seen: Callable[..., Any]) -> Iterator[None]:
    """While it lasts, ``seen(layer, call, args, keywords)`` stands for every call of a layer.

    ``call`` is the layer's own, which ``seen`` must call and whose value it must return.
    """
    import keras

    own = keras.layers.Layer.__call__

    def called(layer: Any, *args: Any, **keywords: Any) -> Any:
        return seen(layer, own, args, keywords)

    keras.layers.Layer.__call__ = called
    try:
        yield
    finally:
        keras.layers.Layer.__call__ = own
