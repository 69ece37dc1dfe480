"""Losses, one file each: what it computes in NumPy, in PyTorch and in Keras.

A file defines ``reference(output, target, **options) -> float`` in float64, ``torch`` and ``keras``
with the same arguments, which give a scalar tensor, and ``SUITS``, the kinds of targets it is for.
It may define ``keras_loss(**options)``: the object that users give to ``compile``, or ``None``
where Keras has none that computes this. Any such file in a folder ``losses`` of the user's is a
loss too, and goes before one of the same name here.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from benchmarks.tasks.task import TargetKind, TaskError

HERE = Path(__file__).parent
PARTS = ("reference", "torch", "keras", "SUITS")
"""What each file defines."""

DEFAULTS: dict[TargetKind, str] = {
    "classes": "cross_entropy",
    "labels": "binary_cross_entropy",
    "values": "mse",
    "like": "mse",
}


def names(extra: tuple[Path, ...] = ()) -> tuple[str, ...]:
    """The names of all losses, sorted: ours, and those in ``losses`` below ``extra``."""
    return tuple(sorted(_files(extra)))


@functools.cache
def load(name: str, extra: tuple[Path, ...] = ()) -> ModuleType:
    """The module of the loss ``name``; files in the folders ``extra`` are looked up first.

    A training step of eager PyTorch asks for it each time, so folders are read once.

    Raises:
        TaskError: there is no such loss, or its file lacks one of the functions.
    """
    files = _files(extra)
    if name not in files:
        close = difflib.get_close_matches(name, files, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise TaskError(f"there is no loss {name!r}{hint} (there: {', '.join(sorted(files))})")
    path = files[name]
    module = (
        importlib.import_module(f"{__name__}.{name}")
        if path.parent == HERE
        else _from_file(name, path)
    )
    missing = [part for part in PARTS if not hasattr(module, part)]
    if missing:
        raise TaskError(f"loss {name}: {path} does not define {', '.join(missing)}")
    return module


def default_for(target_kind: TargetKind) -> str:
    """The name of the loss for a target of that kind where none is asked for; ``own``: none is."""
    return DEFAULTS.get(target_kind, "own")


def _files(extra: tuple[Path, ...]) -> dict[str, Path]:
    """The file of each loss, the first folder's where two have it."""
    found: dict[str, Path] = {}
    for folder in (*(one / "losses" for one in extra), HERE):
        for path in folder.glob("*.py"):
            if not path.name.startswith("_"):
                found.setdefault(path.stem, path)
    return found


def _from_file(name: str, path: Path) -> ModuleType:
    """The module in a file outside of this package."""
    known_as = f"users_loss_{name}"
    spec = importlib.util.spec_from_file_location(known_as, path)
    if spec is None or spec.loader is None:
        raise TaskError(f"loss {name}: {path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[known_as] = module  # where a dataclass in that file looks for its module
    spec.loader.exec_module(module)
    return module
