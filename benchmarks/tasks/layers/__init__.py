"""One file per kind of layer: everything that is known about it, for every dialect.

A file defines ``KIND``. To add a kind, add a file; nothing else is edited.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Weights = Mapping[str, Array]
Constants = Mapping[str, Any]
OWNERS = ("torch.", "keras.", "benchmarks.models._learned.")
"""Where the classes lie whose names the kinds here give."""
Variant = Callable[[Weights, Array, Constants], Array]


def same(array: Array) -> Array:
    """The array as it is."""
    return array


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one canonical weight of a layer lies in a framework's layer, and how it is turned.

    ``name`` is canonical (``kernel``, ``bias``, ``gamma``, …). ``attribute`` is a dotted path from
    the layer (``weight``, ``cell.kernel``). ``index`` takes a part of the stored array (rows of
    ``in_proj_weight``). ``turn`` brings that part into the canonical layout, ``back`` reverses it;
    both only move numbers, so gradients turn the same way. ``buffer``: no gradient reaches it.
    ``spare``: has no canonical counterpart and is held at zero (the second bias of a PyTorch LSTM).
    """

    name: str
    attribute: str
    turn: Callable[[Array], Array] = same
    back: Callable[[Array], Array] = same
    index: Any = ...
    buffer: bool = False
    spare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One unit of matching in a framework's layer: most layers have one, a stacked LSTM several.

    ``suffix`` tells parts of a layer apart ("" where there is one, "0", "0.reverse", …).
    ``constants`` are what decides its function beside weights, under canonical names and in
    canonical senses that are the same for every dialect; plain JSON values. ``drops`` are the
    random masks inside of it: (what, rate), for example ("recurrent dropout", 0.2).
    """

    slots: tuple[Slot, ...]
    constants: dict[str, Any] = field(default_factory=dict)
    suffix: str = ""
    drops: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of layer.

    ``torch`` and ``keras`` are names of classes in ``torch.nn`` and ``keras.layers``; subclasses
    count. ``torch_parts`` and ``keras_parts`` read a framework's layer by its attributes alone: the
    files of kinds import no framework. ``macs`` gives the multiply-accumulates of one sample's
    forward pass from canonical weight shapes, constants, and the canonical shapes of input and
    output without the batch axis (channels last). ``reference`` computes the layer in NumPy from
    canonical weights and a canonical input with its batch axis. ``variants`` are mistakes that
    people make with this kind: by a sentence that names one, the function computed instead.
    """

    name: str
    torch: tuple[str, ...]
    keras: tuple[str, ...]
    torch_parts: Callable[[Any], tuple[Part, ...]]
    keras_parts: Callable[[Any], tuple[Part, ...]]
    macs: Callable[
        [Mapping[str, tuple[int, ...]], Constants, tuple[int, ...], tuple[int, ...]], int
    ]
    reference: Callable[[Weights, Array, Constants], Array] | None = None
    variants: Mapping[str, Variant] = field(default_factory=dict)


@cache
def kinds(extra: tuple[Path, ...] = ()) -> tuple[Kind, ...]:
    """Every kind: those of files in ``layers`` below the ``extra`` folders, and then ours."""
    found = []
    for folder in extra:
        for path in sorted((folder / "layers").glob("[!_]*.py")):
            location = importlib.util.spec_from_file_location(f"twinbench_kind_{path.stem}", path)
            if location is None or location.loader is None:
                continue
            module = importlib.util.module_from_spec(location)
            location.loader.exec_module(module)
            found.append(module.KIND)
    ours = sorted(Path(__file__).parent.glob("[!_]*.py"))
    found += [importlib.import_module(f"{__name__}.{path.stem}").KIND for path in ours]
    return tuple(found)


def kind_of(layer: object, dialect: str, extra: tuple[Path, ...] = ()) -> Kind | None:
    """The kind of a framework's layer (``dialect``: ``torch`` or ``keras``), by its class.

    The most derived class that some kind names decides; ``None`` where none does.
    """
    every, shared = kinds(extra), kinds()
    known = {name: kind for kind in reversed(every) for name in getattr(kind, dialect)}
    own = {name for kind in every if kind not in shared for name in getattr(kind, dialect)}
    for cls in type(layer).__mro__:
        of_framework = f"{cls.__module__}.".startswith(OWNERS)
        # A user's class that happens to be named like one of ours is not of our kind.
        if cls.__name__ in (known if of_framework else own):
            return known[cls.__name__]
    return None


def attribute(layer: object, path: str) -> Any:
    """The attribute at a dotted path; ``None`` where it is missing or ``None``."""
    for name in path.split("."):
        layer = getattr(layer, name, None)
        if layer is None:
            return None
    return layer
