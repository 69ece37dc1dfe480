"""Watches one forward pass of a Keras model: layers, steps without weights, what is dropped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.frameworks._keras import patches
from benchmarks.frameworks.description import Arrays, Drop, Step

DROPS = {
    "Dropout": "dropout",
    "SpatialDropout1D": "spatial dropout",
    "SpatialDropout2D": "spatial dropout",
    "SpatialDropout3D": "spatial dropout",
    "AlphaDropout": "alpha dropout",
    "GaussianDropout": "gaussian dropout",
    "GaussianNoise": "gaussian noise",
}
STEPS = {
    "MaxPooling": "maxpool",
    "AveragePooling": "avgpool",
    "GlobalAveragePooling": "mean",
    "GlobalMaxPooling": "globalmaxpool",
    "ZeroPadding": "pad",
    "UpSampling": "interpolate",
    "Resizing": "interpolate",
    "LeakyReLU": "leakyrelu",
}
SETTINGS = ("pool_size", "strides", "padding", "interpolation", "axis", "size", "negative_slope")
ROUTES = ("InputLayer", "Functional", "Sequential", "Model", "Bidirectional", "TimeDistributed")


class Tracer:
    """Records the calls of layers while ``run`` lasts.

    ``known`` says of each layer that owns weights, by identity, whether its kind is known: what is
    called inside of one that is, is passed over. ``totals`` are the numbers that all calls of each
    gave. ``rates`` are what layers drop, by identity.
    ``arrays`` is filled where ``keep`` is set, under the keys of ``description.Arrays``.
    """

    def __init__(
        self,
        known: Mapping[int, bool],
        paths: Mapping[int, str],
        rates: Mapping[int, float],
        *,
        keep: bool,
    ) -> None:
        self.known, self.paths, self.rates, self.keep = known, paths, rates, keep
        self.calls: list[int] = []
        self.shapes: dict[int, tuple[tuple[int, ...] | None, tuple[int, ...] | None]] = {}
        self.totals: dict[int, int] = {}
        self.steps: list[Step] = []
        self.drops: list[Drop] = []
        self.random: list[str] = []
        self.arrays: Arrays = {}
        self._inside = 0

    def run(self, call: Callable[[], Any]) -> Any:
        """What ``call`` gives, every layer below it watched."""
        with patches.calls(self._seen):
            return call()

    def _seen(self, layer: Any, call: Any, args: tuple[Any, ...], keywords: Any) -> Any:
        if self._inside:
            return call(layer, *args, **keywords)
        index = id(layer)
        if index in self.known:
            return self._node(layer, call, args, keywords)
        if index in self.rates:
            self._drop(layer, args)
            return call(layer, *args, **keywords)
        made = call(layer, *args, **keywords)
        if not children(layer) and not isinstance(made, list | tuple | dict):
            self._step(layer, args, made)
        return made

    def _node(self, layer: Any, call: Any, args: tuple[Any, ...], keywords: Any) -> Any:
        index, first = id(layer), _first(args, keywords)
        again = index in self.calls
        self.calls.append(index)
        given = None if first is None or again else _array(first)
        self._inside += self.known[index]
        try:
            made = call(layer, *args, **keywords)
        finally:
            self._inside -= self.known[index]
        output = made[0] if isinstance(made, list | tuple) else made
        if hasattr(output, "shape"):
            self.totals[index] = self.totals.get(index, 0) + math.prod(output.shape)
        if given is not None and hasattr(output, "shape"):
            held = _array(output)
            self.shapes[index] = (given.shape[1:], held.shape[1:])
            if self.keep:
                self.arrays[f"node/{self.paths[index]}/in"] = given
                self.arrays[f"node/{self.paths[index]}/out"] = held
        return made

    def _step(self, layer: Any, args: tuple[Any, ...], made: Any) -> None:
        name = step_name(layer)
        if not name or not args or not hasattr(args[0], "shape"):
            return
        key = str(len(self.steps))
        told = {n: _plain(getattr(layer, n)) for n in SETTINGS if hasattr(layer, n)}
        self.steps.append(Step(name=name, after=len(self.calls), key=key, constants=told))
        if self.keep:
            self.arrays[f"step/{key}/in"] = _array(args[0])
            self.arrays[f"step/{key}/out"] = _array(made)

    def _drop(self, layer: Any, args: tuple[Any, ...]) -> None:
        if self.keep:
            self.arrays[f"drop/{len(self.drops)}"] = _array(args[0])
        what = next(DROPS[c.__name__] for c in type(layer).__mro__ if c.__name__ in DROPS)
        where = self.paths.get(self.calls[-1], "") if self.calls else ""
        self.drops.append(
            Drop(what=what, rate=self.rates[id(layer)], after=len(self.calls), where=where)
        )


def step_name(layer: Any) -> str:
    """The name of a layer without weights as ``description.Step`` has it; empty for containers."""
    cls = type(layer).__name__
    if cls in ROUTES:
        return ""
    if cls == "Activation":
        name = getattr(layer.activation, "__name__", "activation")
        return "activation" if name == "<lambda>" else str(name).replace("_", "")
    for start, name in STEPS.items():
        if cls.startswith(start):
            return name
    return cls.lower().replace("_", "")


def rates(layers: list[tuple[Any, str]]) -> dict[int, float]:
    """What dropping layers drop, by identity; those that drop nothing are left out."""
    found = {}
    for layer, _ in layers:
        if any(c.__name__ in DROPS for c in type(layer).__mro__):
            rate = float(getattr(layer, "rate", getattr(layer, "stddev", 0.0)))
            if rate > 0:
                found[id(layer)] = rate
    return found


def switch_off(layer: Any) -> None:
    """Set every rate of a layer, and of a cell inside of it, to zero."""
    for name in ("rate", "stddev", "dropout", "recurrent_dropout", "_dropout"):
        value = layer.__dict__.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            setattr(layer, name, 0.0)


def children(layer: Any) -> list[Any]:
    """The layers that a layer holds, in the order in which it got them."""
    return list(getattr(layer, "_layers", ()))


def own_variables(layer: Any) -> list[Any]:
    """The float variables that a layer holds itself."""
    held = [
        *getattr(layer, "_trainable_variables", ()),
        *getattr(layer, "_non_trainable_variables", ()),
    ]
    return [v for v in held if "float" in str(v.dtype)]


def _first(args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    for one in (*args, *keywords.values()):
        if isinstance(one, list | tuple) and one and hasattr(one[0], "shape"):
            return one[0]
        if hasattr(one, "shape"):
            return one
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, int | float | str | bool | None) else str(value)


def _array(tensor: Any) -> Any:
    import keras

    return np.array(keras.ops.convert_to_numpy(tensor), dtype=np.float64)
