"""Changes to private parts of Keras that the proof needs, checked with Keras 3.15.1.

``tests/test_frameworks_keras.py`` fails where one of them stops working.
"""

from __future__ import annotations

import importlib
import itertools
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


def name_anew() -> None:
    """Have Keras name the layers of the next model as it would in a new process."""
    from keras.src.utils import naming

    naming.reset_uids()


GELU, RESIZE, SCALE = "gelu_tensorflow", "resize_tensorflow", "attention_scale"
LEAKY, CAST, POOL = "leaky_relu_tensorflow", "constant_tensorflow", "max_pool_tensorflow"
ATTENTION = "attention_jax"
RESTATED = {
    SCALE: "Keras' MultiHeadAttention rounds 1 / sqrt(head_dim) to float32, which is {error:.0e}"
    " off; restated for the proof",
    GELU: "Keras' GELU on TensorFlow rounds the square root of 2 to float32: its values differ by"
    " {error:.0e} in float64; restated for the proof",
    LEAKY: "TensorFlow rounds the slope of a leaky ReLU to float32: its values differ by"
    " {error:.0e} in float64; restated for the proof",
    CAST: "Keras on TensorFlow rounds constants of layers, as the factor of Rescaling, to float32:"
    " they differ by {error:.0e} in float64; restated for the proof",
    ATTENTION: "JAX takes the softmax of an attention in float32: its values differ by {error:.0e}"
    " in float64; restated for the proof",
    POOL: "TensorFlow has no max pool of volumes in float64: its values in float32 differ by"
    " {error:.0e}; restated for the proof",
    RESIZE: "TensorFlow resizes bilinearly in float32, whatever the precision: its values differ by"
    " {error:.0e} in float64; restated for the proof",
}
"""What Keras does not compute in float64, and is restated, by the name of the finding."""


Note = Callable[[str, Any, Callable[[], Any]], Any]
"""Takes the name of a finding, what is exact, and how the engine computes it; gives the first."""


@contextmanager
def restated() -> Iterator[dict[str, list[float]]]:
    """Have an engine compute in float64 what it computes in less, for as long as it lasts.

    Yields:
        By name of ``RESTATED``, the relative L2 difference of each call from the engine's own.
    """
    import keras

    differences: dict[str, list[float]] = {}

    def note(name: str, exact: Any, own: Callable[[], Any]) -> Any:
        if _held(exact):
            right, rounded = (keras.ops.convert_to_numpy(one) for one in (exact, own()))
            size = float(np.linalg.norm(right))
            apart = float(np.linalg.norm(right - rounded))
            differences.setdefault(name, []).append(apart / size if size else apart)
        return exact

    made = [
        (module, name, restate(getattr(module, name), note))
        for module, name, restate in _replaced(keras.backend.backend())
    ]
    kept = [(module, name, getattr(module, name)) for module, name, _ in made]
    for module, name, function in made:
        setattr(module, name, function)
    try:
        yield differences
    finally:
        for module, name, function in kept:
            setattr(module, name, function)


def _replaced(engine: str) -> list[tuple[Any, str, Callable[[Any, Note], Any]]]:
    """What an engine computes in less than float64: its module, its name, and what restates it."""
    from keras.src import backend

    if engine == "jax":
        return [(backend.nn, "dot_product_attention", _attention)]
    if engine != "tensorflow":
        return []
    places = [backend, backend.core, importlib.import_module("keras.src.backend.tensorflow")]
    return [
        (backend.nn, "gelu", _gelu),
        (backend.nn, "leaky_relu", _leaky_relu),
        (backend.nn, "max_pool", _max_pool),
        (backend.image, "resize", _resize),
        *((place, "cast", _cast) for place in places),
        *((place, "convert_to_tensor", _convert) for place in places),
    ]


def _gelu(own: Any, note: Note) -> Any:
    def gelu(x: Any, approximate: bool = True) -> Any:
        from keras import ops

        if approximate:
            inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)
            exact = 0.5 * x * (1.0 + ops.tanh(inner))
        else:
            exact = 0.5 * x * (1.0 + ops.erf(x / math.sqrt(2.0)))
        return note(GELU, exact, lambda: own(x, approximate))

    return gelu


def _leaky_relu(own: Any, note: Note) -> Any:
    def leaky_relu(x: Any, negative_slope: Any = 0.2) -> Any:
        from keras import ops

        x = ops.convert_to_tensor(x)
        exact = ops.where(x > 0, x, x * negative_slope)
        return note(LEAKY, exact, lambda: own(x, negative_slope))

    return leaky_relu


def _resize(own: Any, note: Note) -> Any:
    def resize(images: Any, size: Any, interpolation: str = "bilinear", **more: Any) -> Any:
        from keras import ops

        plain = not any(v for k, v in more.items() if k in PLAIN)
        if interpolation != "bilinear" or not plain or images.dtype != "float64":
            return own(images, size, interpolation=interpolation, **more)
        rows, columns = (
            ops.convert_to_tensor(_bilinear(int(before), int(after)))
            for before, after in zip(images.shape[-3:-1], size, strict=True)
        )
        exact = ops.einsum("...hwc,oh,pw->...opc", images, rows, columns)
        return note(RESIZE, exact, lambda: own(images, size, interpolation, **more))

    return resize


def _cast(own: Any, note: Note) -> Any:
    def cast(x: Any, dtype: Any) -> Any:
        import keras

        if not _numbers(x) or keras.backend.standardize_dtype(dtype) != "float64":
            return own(x, dtype)
        exact = own(np.asarray(x, dtype=np.float64), dtype)
        return note(CAST, exact, lambda: own(x, dtype))

    return cast


def _convert(own: Any, note: Note) -> Any:
    def convert(x: Any, dtype: Any = None, *more: Any, **named: Any) -> Any:
        if dtype is not None or not _numbers(x):
            return own(x, dtype, *more, **named)
        exact = own(np.asarray(x, dtype=np.float64))
        return note(CAST, exact, lambda: own(x))

    return convert


def _max_pool(own: Any, note: Note) -> Any:
    def max_pool(
        x: Any,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        *more: Any,
        **named: Any,
    ) -> Any:
        from keras import ops

        first = "channels_first" in (*more, *named.values())
        if len(x.shape) != VOLUME or x.dtype != "float64" or first:
            return own(x, pool_size, strides, padding, *more, **named)
        exact = _largest(x, _each(pool_size), _each(strides or pool_size), padding)
        single = ops.cast(x, "float32")
        return note(POOL, exact, lambda: own(single, pool_size, strides, padding))

    return max_pool


def _attention(own: Any, note: Note) -> Any:
    def attention(
        query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None, **more: Any
    ) -> Any:
        rest = {name: held for name, held in more.items() if name not in ATTENDED}
        if str(query.dtype) != "float64" or any(held is not None for held in rest.values()):
            return own(query, key, value, bias, mask, **more)
        scale, causal = more.get("scale"), bool(more.get("is_causal"))
        exact = _attended((query, key, value), bias, mask, scale, causal=causal)
        return note(ATTENTION, exact, lambda: own(query, key, value, bias, mask, **more))

    return attention


ATTENDED = ("scale", "is_causal", "flash_attention")
"""What an attention may be told beside its tensors so that it can be restated."""


def _held(tensor: Any) -> bool:
    """Whether it is a value, not a place in a graph or a traced one."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return isinstance(tensor, jax.Array) and not isinstance(tensor, jax.core.Tracer)
    return hasattr(tensor, "numpy")


def _attended(
    given: tuple[Any, Any, Any], bias: Any, mask: Any, scale: Any, *, causal: bool
) -> Any:
    """Attention of (n, steps, heads, size), a few heads of keys shared by several of queries."""
    from keras import ops

    query, key, value = given
    shared = query.shape[2] // key.shape[2]
    if shared > 1:
        key, value = ops.repeat(key, shared, axis=2), ops.repeat(value, shared, axis=2)
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = ops.einsum("btnh,bsnh->bnts", query, key) * np.float64(scale)
    scores = scores if bias is None else scores + bias
    least = -0.7 * float(np.finfo(np.float32).max)  # JAX's own, so that a row may hide all
    if mask is not None:
        scores = ops.where(mask, scores, least)
    if causal:
        steps = np.tril(np.ones((query.shape[1], key.shape[1]), dtype=bool))
        scores = ops.where(steps, scores, least)
    return ops.einsum("bnts,bsnh->btnh", ops.softmax(scores, axis=-1), value)


VOLUME = 5
"""Rank of a batch of volumes."""


def _numbers(x: Any) -> bool:
    """Whether it is a float of Python's, or a list of them."""
    return isinstance(x, float) or (
        isinstance(x, list | tuple) and bool(x) and all(isinstance(one, float) for one in x)
    )


def _each(size: Any) -> tuple[int, ...]:
    return (int(size),) * 3 if isinstance(size, int) else tuple(map(int, size))


def _largest(x: Any, size: tuple[int, ...], strides: tuple[int, ...], padding: str) -> Any:
    """The largest of each window of (n, *space, channels); of equal ones the first learns."""
    from keras import ops

    space = [int(axis) for axis in x.shape[1:-1]]
    if padding == "same":
        counts = [-(-have // step) for have, step in zip(space, strides, strict=True)]
        missing = [
            max((count - 1) * step + span - have, 0)
            for count, step, span, have in zip(counts, strides, size, space, strict=True)
        ]
        wider = [(0, 0), *((less // 2, less - less // 2) for less in missing), (0, 0)]
        x = ops.pad(x, wider, constant_values=-np.inf)
    else:
        counts = [
            (have - span) // step + 1 for have, step, span in zip(space, strides, size, strict=True)
        ]
    found: Any = None
    for at in itertools.product(*map(range, size)):
        window = tuple(
            slice(start, start + (count - 1) * step + 1, step)
            for start, count, step in zip(at, counts, strides, strict=True)
        )
        one = x[(slice(None), *window, slice(None))]
        found = one if found is None else ops.where(one > found, one, found)
    return found


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
