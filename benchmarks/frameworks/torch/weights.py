"""The weights of a PyTorch module: which layer owns which, set and read by canonical key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.frameworks.description import Arrays, Assigned
from benchmarks.frameworks.torch import layout
from benchmarks.tasks.layers import Kind, Part, Slot, attribute, kind_of
from benchmarks.tasks.task import Objective

MODEL = "(model)"
"""The path of weights that the model itself owns, not one of its layers."""
Grids = tuple[layout.Grid | None, layout.Grid | None]


class Inventory:
    """What of a module holds numbers.

    Attributes:
        modules: every module by its path.
        kinds: the modules that own weights, by path, and their kinds; ``None`` where unknown.
        parts: the parts of each of them.
        grids: ``grid_in`` and ``grid_out`` of each, once they are known; see ``Node``.
    """

    def __init__(self, module: Any, extra: tuple[Path, ...] = ()) -> None:
        self.module, self._extra = module, extra
        self.modules = dict(module.named_modules())
        self.kinds = dict(self._owners())
        self.parts = {path: self._parts_of(path) for path in self.kinds}
        self.grids: dict[str, Grids] = {}
        self._own = self._owned()
        self._bases = {
            joined(path, part.suffix): path for path, parts in self.parts.items() for part in parts
        }
        self._assigned: dict[str, dict[str, str]] = {}

    def assign(self, assigned: Sequence[Assigned]) -> None:
        """Learn the canonical keys of the weights, and how flattened features are ordered.

        Raises:
            LookupError: there is no such layer.
        """
        self._assigned = {one.path: one.weights for one in assigned}
        if unknown := set(self._assigned) - set(self._bases):
            raise LookupError(f"the PyTorch side has no layer {min(unknown)!r}")
        for one in assigned:
            self.grids[self._bases[one.path]] = (one.grid_in, one.grid_out)

    def base(self, path: str) -> str:
        """The path of the module that a node is a part of."""
        return self._bases[path]

    def load(self, values: Mapping[str, Any], *, hold_spare: bool = True) -> None:
        """Set weights from canonical values, in their own type and on their own device.

        A second bias that Keras has not is set to zero and, with ``hold_spare``, held there.
        """
        with torch.no_grad():
            for path, part, slot, tensor in self.slots():
                key = self._assigned.get(path, {}).get(slot.name)
                if slot.spare:
                    tensor.zero_()
                    tensor.requires_grad_(requires_grad=not hold_spare)
                elif key is not None and key in values:
                    turned = slot.back(self._arranged(part, path, slot, values[key], back=True))
                    target = tensor[slot.index]
                    given = torch.from_numpy(np.ascontiguousarray(turned))
                    target.copy_(given.reshape(target.shape))

    def equalize(self, changes: Mapping[str, Mapping[str, float]]) -> None:
        """Set constants of layers by path: ``epsilon``, and ``momentum`` in Keras' sense."""
        for path, values in changes.items():
            module = self.modules["" if path == MODEL else path]
            if "epsilon" in values:
                module.eps = values["epsilon"]
            if "momentum" in values:
                module.momentum = round(1.0 - values["momentum"], 12)

    def canonical(
        self, prefix: str, of: Callable[[Any], Any], *, trainable: bool = False
    ) -> Arrays:
        """What ``of`` makes of each tensor, in canonical layout, keyed ``prefix + key``."""
        found: Arrays = {}
        for path, part, slot, tensor in self.slots():
            key = self._assigned.get(path, {}).get(slot.name)
            if key is None or slot.spare or (trainable and not tensor.requires_grad):
                continue
            value = of(tensor)
            if value is not None:
                held = slot.turn(array(value)[slot.index])
                found[prefix + key] = self._arranged(part, path, slot, held, back=False)
        return found

    def moved(self, objective: Objective) -> list[Any]:
        """The trained tensors that an objective moves."""
        trained = [tensor for tensor in self.module.parameters() if tensor.requires_grad]
        keys = {id(t): k for t, k in self._keyed()}
        return [t for t in trained if objective.moves(keys.get(id(t), ""))]

    def _keyed(self) -> Iterator[tuple[Any, str]]:
        """Each tensor and its canonical key; a spare one's is its name."""
        for path, _, slot, tensor in self.slots():
            yield tensor, self._assigned.get(path, {}).get(slot.name, f"{path}.{slot.name}")

    def slots(self) -> Iterator[tuple[str, Part, Slot, Any]]:
        """Path of the node, its part, slot and tensor of everything that holds numbers."""
        for path, parts in self.parts.items():
            for part in parts:
                for slot in part.slots:
                    if self.owns(path, part, slot):
                        tensor = reach(self.modules[path], slot.attribute)
                        yield joined(path, part.suffix), part, slot, tensor

    def owns(self, path: str, part: Part, slot: Slot) -> bool:
        """Whether no earlier layer has the same tensor: the later ones are tied to it."""
        return (path, part.suffix, slot.name) in self._own

    def spare(self) -> int:
        """How many numbers are held at zero."""
        return sum(t.numel() for _, _, slot, t in self.slots() if slot.spare)

    def _owners(self) -> Iterator[tuple[str, Kind | None]]:
        """Every module that owns weights, or is of a known kind that does, by path."""
        inside: list[str] = []
        for path, module in self.modules.items():
            if any(path.startswith(f"{outer}.") for outer in inside):
                continue
            kind = kind_of(module, "torch", self._extra)
            held = isinstance(module, torch.nn.ParameterList | torch.nn.ParameterDict)
            if kind is not None:
                inside.append(path)
                yield path, kind
            elif not held and any(True for _ in _direct(module)):
                yield path, None

    def _parts_of(self, path: str) -> tuple[Part, ...]:
        kind, module = self.kinds[path], self.modules[path]
        if kind is not None:
            return kind.torch_parts(module)
        names = [name for name, _ in _direct(module)]
        return (Part(slots=tuple(Slot(name=n, attribute=n) for n in names)),)

    def _owned(self) -> set[tuple[str, str, str]]:
        """Path, suffix and name of each slot whose tensor no earlier one has."""
        owned, seen = set(), set[tuple[int, str]]()
        for path, parts in self.parts.items():
            for part in parts:
                for slot in part.slots:
                    tensor = reach(self.modules[path], slot.attribute)
                    mark = (id(tensor), str(slot.index))
                    if tensor is not None and mark not in seen:
                        seen.add(mark)
                        owned.add((path, part.suffix, slot.name))
        return owned

    def _arranged(self, part: Part, path: str, slot: Slot, held: Any, *, back: bool) -> Any:
        """Features of a flattened channels-first map in channels-last order, or back again."""
        base = path.removesuffix(f".{part.suffix}") if part.suffix else path
        module_path = "" if base == MODEL else base
        kind = self.kinds.get(module_path)
        grid_in, grid_out = self.grids.get(module_path, (None, None))
        turn = layout.restored if back else layout.reordered
        if kind is not None and kind.name == "Dense":
            if slot.name == "kernel" and grid_in:
                held = turn(held, 0, grid_in)
            if grid_out:
                held = turn(held, -1, grid_out)
        elif held.ndim == 1 and (grid_in or grid_out):
            held = turn(held, 0, grid_in or grid_out or ())
        return held


def array(tensor: Any) -> Any:
    """A float64 copy in host memory."""
    return tensor.detach().cpu().double().numpy().copy()


def joined(path: str, suffix: str) -> str:
    """The path of a part of a layer."""
    return (path or MODEL) + (f".{suffix}" if suffix else "")


def reach(module: Any, path: str) -> Any:
    """The tensor at a dotted path from a module; ``None`` where there is none."""
    found = attribute(module, path)
    if found is None and "." in path:
        return dict(module.named_parameters()).get(path)
    return found


def _direct(module: Any) -> Iterator[tuple[str, Any]]:
    """Name and tensor of a module's own parameters, those in its lists of parameters included."""
    yield from module.named_parameters(recurse=False)
    for name, child in module.named_children():
        if isinstance(child, torch.nn.ParameterList | torch.nn.ParameterDict):
            for inner, tensor in child.named_parameters():
                yield f"{name}.{inner}", tensor
