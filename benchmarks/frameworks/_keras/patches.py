"""Changes to private parts of Keras that the proof needs, checked with Keras 3.15.1.

``tests/test_frameworks_keras.py`` fails where one of them stops working.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray


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


GELU, RESIZE, SCALE = "gelu_tensorflow", "resize_tensorflow", "attention_scale"
RESTATED = {
    SCALE: "Keras' MultiHeadAttention rounds 1 / sqrt(head_dim) to float32, which is {error:.0e}"
    " off; restated for the proof",
    GELU: "Keras' GELU on TensorFlow rounds the square root of 2 to float32: its values differ by"
    " {error:.0e} in float64; restated for the proof",
    RESIZE: "TensorFlow resizes bilinearly in float32, whatever the precision: its values differ by"
    " {error:.0e} in float64; restated for the proof",
}
"""What Keras does not compute in float64, and is restated, by the name of the finding."""


@contextmanager
def restated() -> Iterator[dict[str, list[float]]]:
    """Have TensorFlow compute in float64 what it computes in less, for as long as it lasts.

    Yields:
        By name of ``RESTATED``, the relative L2 difference of each call from TensorFlow's own.
    """
    import keras
    from keras.src import backend

    differences: dict[str, list[float]] = {}
    own_gelu, own_resize = backend.nn.gelu, backend.image.resize

    def note(name: str, exact: Any, own: Callable[[], Any]) -> Any:
        if hasattr(exact, "numpy"):  # a value, not a place in a graph
            right, rounded = exact.numpy(), keras.ops.convert_to_numpy(own())
            size = float(np.linalg.norm(right))
            apart = float(np.linalg.norm(right - rounded))
            differences.setdefault(name, []).append(apart / size if size else apart)
        return exact

    def gelu(x: Any, approximate: bool = True) -> Any:
        ops = keras.ops
        if approximate:
            inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)
            exact = 0.5 * x * (1.0 + ops.tanh(inner))
        else:
            exact = 0.5 * x * (1.0 + ops.erf(x / math.sqrt(2.0)))
        return note(GELU, exact, lambda: own_gelu(x, approximate))

    def resize(images: Any, size: Any, interpolation: str = "bilinear", **more: Any) -> Any:
        plain = not any(v for k, v in more.items() if k in PLAIN)
        if interpolation != "bilinear" or not plain or images.dtype != "float64":
            return own_resize(images, size, interpolation=interpolation, **more)
        rows, columns = (
            keras.ops.convert_to_tensor(_bilinear(int(before), int(after)))
            for before, after in zip(images.shape[-3:-1], size, strict=True)
        )
        exact = keras.ops.einsum("...hwc,oh,pw->...opc", images, rows, columns)
        return note(RESIZE, exact, lambda: own_resize(images, size, interpolation, **more))

    if keras.backend.backend() == "tensorflow":
        backend.nn.gelu, backend.image.resize = gelu, resize
    try:
        yield differences
    finally:
        backend.nn.gelu, backend.image.resize = own_gelu, own_resize


def exact_scale(layer: Any) -> float:
    """Have an attention scale its scores in float64; how far off, relatively, it was.

    0 for a layer that is no attention, or whose scale float32 holds exactly.
    """
    scale = layer.__dict__.get("_inverse_sqrt_key_dim")
    if not isinstance(scale, float):
        return 0.0
    layer._inverse_sqrt_key_dim = np.float64(scale)  # noqa: SLF001 - it has no public name
    return abs(float(np.float32(scale)) - scale) / scale


PLAIN = ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio")


def _bilinear(before: int, after: int) -> NDArray[np.float64]:
    """Weights (after, before) of a bilinear resize along one axis, pixel centres at one half."""
    at = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, before - 1)
    weights = np.zeros((after, before))
    np.add.at(weights, (np.arange(after), low), 1 - (at - low))
    np.add.at(weights, (np.arange(after), high), at - low)
    return weights


@contextmanager
def calls(seen: Callable[..., Any]) -> Iterator[None]:
    """While it lasts, ``seen(layer, call, args, keywords)`` stands for every call of a layer.

    ``call`` is the layer's own, which ``seen`` must call and whose value it must return.
    ``TimeDistributed`` passes by its layer's ``__call__`` at every step; here it stands for one
    call of that layer, with all steps: (n, steps, ...).
    """
    import keras

    own, steps = keras.layers.Layer.__call__, keras.layers.TimeDistributed.call

    def called(layer: Any, *args: Any, **keywords: Any) -> Any:
        return seen(layer, own, args, keywords)

    def distributed(wrapper: Any, *args: Any, **keywords: Any) -> Any:
        return seen(wrapper.layer, lambda _, *a, **k: steps(wrapper, *a, **k), args, keywords)

    keras.layers.Layer.__call__ = called
    keras.layers.TimeDistributed.call = distributed
    try:
        yield
    finally:
        keras.layers.Layer.__call__ = own
        keras.layers.TimeDistributed.call = steps


DRAWS = (
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
)
"""Functions of ``keras.random``, all of which call those of the same names of the engine."""


@contextmanager
def draws() -> Iterator[list[str]]:
    """Watch what draws random numbers.

    Yields:
        The names of the functions of ``keras.random`` called, in order.
    """
    from keras.src import backend

    own = {name: getattr(backend.random, name) for name in DRAWS}
    called: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        def draw(*args: Any, **keywords: Any) -> Any:
            called.append(f"keras.random.{name}")
            return own[name](*args, **keywords)

        return draw

    for name in DRAWS:
        setattr(backend.random, name, noted(name))
    try:
        yield called
    finally:
        for name, function in own.items():
            setattr(backend.random, name, function)
