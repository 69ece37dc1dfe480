"""The variables of a Keras model: which layer owns which, set and read by canonical key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frameworks._keras import watch
from benchmarks.frameworks.description import Arrays, Assigned
from benchmarks.tasks import stored
from benchmarks.tasks.layers import Kind, Part, Slot, attribute, kind_of
from benchmarks.tasks.task import Objective

MODEL = "(model)"
"""The path of weights that the model itself owns, not one of its layers."""


class Inventory:
    """What of a built model holds numbers.

    Attributes:
        layers: every layer and its path, by identity.
        kinds: the layers that own weights, by identity, and their kinds; ``None`` where unknown.
        parts: the parts of each of them.
    """

    def __init__(self, model: Any, extra: tuple[Path, ...] = ()) -> None:
        self.model, self._extra = model, extra
        self.layers: dict[int, tuple[Any, str]] = dict(_paths(model))
        self.kinds = dict(self._owners())
        self.parts = {i: self._parts_of(i) for i in self.kinds}
        self._assigned: dict[str, dict[str, str]] = {}

    def assign(self, assigned: Sequence[Assigned]) -> None:
        """Learn the canonical keys of the weights.

        Raises:
            LookupError: there is no such layer.
        """
        self._assigned = {one.path: one.weights for one in assigned}
        there = {joined(self.path(i), p.suffix) for i, parts in self.parts.items() for p in parts}
        if unknown := set(self._assigned) - there:
            raise LookupError(f"the Keras side has no layer {min(unknown)!r}")

    def key(self, path: str, slot: Slot) -> str | None:
        """The canonical key of a weight."""
        return self._assigned.get(path, {}).get(slot.name)

    def load(self, values: Mapping[str, Any]) -> None:
        """Set variables from canonical values."""
        stored: dict[int, tuple[Any, Any]] = {}
        for path, slot, variable in self.slots():
            key = self.key(path, slot)
            if key is None or key not in values:
                continue
            if slot.index is ...:
                variable.assign(np.reshape(slot.back(values[key]), tuple(variable.shape)))
                continue
            _, held = stored.setdefault(id(variable), (variable, array(variable)))
            held[slot.index] = np.reshape(slot.back(values[key]), held[slot.index].shape)
        for variable, held in stored.values():
            variable.assign(held)

    def canonical(self, of: Callable[[Any], Any] = lambda variable: variable) -> Arrays:
        """What ``of`` makes of each variable, by canonical key; nothing where that is ``None``."""
        found: Arrays = {}
        for path, slot, variable in self.slots():
            key, value = self.key(path, slot), of(variable)
            if key is not None and value is not None:
                found[key] = slot.turn(array(value)[slot.index])
        return found

    def moved(self, objective: Objective) -> list[Any]:
        """The trained variables that an objective moves."""
        keys = {id(v): self.key(path, slot) or f"{path}." for path, slot, v in self.slots()}
        trained = self.model.trainable_variables
        return [v for v in trained if objective.moves(keys.get(id(v), ""))]

    def slots(self) -> Iterator[tuple[str, Slot, Any]]:
        """Path of the node, slot and variable of everything that holds numbers, each once."""
        seen = set[tuple[int, str]]()
        for index, parts in self.parts.items():
            layer, _ = self.layers[index]
            for part in parts:
                for slot in part.slots:
                    variable = _reach(layer, slot.attribute)
                    mark = (id(variable), str(slot.index))
                    if variable is None or mark in seen:
                        continue
                    seen.add(mark)
                    yield joined(self.path(index), part.suffix), slot, variable

    def path(self, index: int) -> str:
        """The path of a layer, by identity."""
        return self.layers[index][1] or MODEL

    def named(self) -> dict[str, Any]:
        """Every layer by the canonical name of its weights, or else by its own.

        A dash in a name stands for a dot, which Keras on PyTorch takes in none.
        """
        canonical = {
            path: next(iter(names.values())).rpartition(".")[0]
            for path, names in self._assigned.items()
            if names
        }
        return {
            canonical.get(path, str(layer.name).replace("-", ".")): layer
            for layer, path in self.layers.values()
            if path
        }

    def _owners(self) -> Iterator[tuple[int, Kind | None]]:
        """Every layer that owns weights, or is of a known kind that does, by identity."""
        inside: list[str] = []
        for index, (layer, path) in self.layers.items():
            if any(path.startswith(f"{outer}/") for outer in inside):
                continue
            kind = kind_of(layer, "keras", self._extra)
            if kind is not None and kind.keras_parts(layer):
                inside.append(path)
                yield index, kind
            elif kind is None and watch.own_variables(layer):
                yield index, None

    def _parts_of(self, index: int) -> tuple[Part, ...]:
        layer, _ = self.layers[index]
        kind = self.kinds[index]
        if kind is not None:
            return kind.keras_parts(layer)
        slots, used = [], dict[str, int]()
        weights = {id(v) for v in getattr(layer, "_trainable_variables", ())}  # frozen ones too
        for place, variable in enumerate(watch.own_variables(layer)):
            if not array(variable).size or id(variable) not in weights:
                continue
            name = variable.name
            used[name] = used.get(name, 0) + 1
            name = name if used[name] == 1 else f"{name}_{used[name]}"
            slots.append(Slot(name=name, attribute=f"#{place}"))
        return (Part(slots=tuple(slots)),)


def array(tensor: Any) -> Any:
    """A float64 copy in host memory."""
    import keras

    return np.array(keras.ops.convert_to_numpy(tensor), dtype=np.float64)


def joined(path: str, suffix: str) -> str:
    """The path of a part of a layer."""
    return path + (f".{suffix}" if suffix else "")


def _reach(layer: Any, path: str) -> Any:
    if path.startswith("#"):
        return watch.own_variables(layer)[int(path[1:])]
    return attribute(layer, path)


def _paths(model: Any) -> Iterator[tuple[int, tuple[Any, str]]]:
    """Identity, layer and path of the model and every layer below it, each once."""
    seen = set[int]()
    waiting = [(model, "")]
    while waiting:
        layer, path = waiting.pop(0)
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield id(layer), (layer, path)
        below, used = [], set[str]()
        for child in watch.children(layer):
            name = _name_in(layer, child)
            while name in used:
                name += "_"
            used.add(name)
            below.append((child, f"{path}/{name}" if path else name))
        waiting = below + waiting


def _name_in(parent: Any, child: Any) -> str:
    """What a layer is called in the one that holds it.

    In a subclassed model that is the attribute (``fc1``), with the place in a list or the key in a
    mapping behind it (``blocks/0``); in a container, and where no attribute holds it, its own name.
    """
    ours = type(parent).__module__.partition(".")[0] == "keras"  # a user's may be called Model, too
    if not ours or type(parent).__name__ not in watch.ROUTES:
        # On PyTorch a layer is a module, too, and those that it holds are no plain attributes.
        held_by_name = {**vars(parent), **vars(parent).get("_modules", {})}
        for name, value in held_by_name.items():
            if name.startswith("_"):
                continue
            if value is child:
                return name
            held: Any = ()
            if isinstance(value, Mapping):
                held = value.items()
            elif isinstance(value, list | tuple):
                held = enumerate(value)
            for place, one in held:
                if one is child:
                    return f"{name}/{place}"
    return str(child.name)


def refuse_bomb(path: Path) -> None:
    """Refuse a file of Keras' weights (HDF5) that says to hold much more than it has bytes.

    Compression, and parts that were never written, make such a file.

    Raises:
        ValueError: it does, or it leads to other files.
    """
    import h5py

    sizes, elsewhere = list[int](), list[str]()  # nothing may be raised while h5py walks

    def look(name: str, held: Any) -> None:
        if isinstance(held, h5py.Dataset):
            elsewhere.extend([name] if held.is_virtual or held.external else [])
            sizes.append(held.size * held.dtype.itemsize)

    def follow(name: str, link: Any) -> None:
        elsewhere.extend([name] if isinstance(link, h5py.ExternalLink) else [])

    with h5py.File(path, "r") as file:
        file.visititems_links(follow)
        file.visititems(look)
    if elsewhere:
        raise ValueError(f"{elsewhere[0]} lies in another file")
    stored.refuse_large(path, sum(sizes))
