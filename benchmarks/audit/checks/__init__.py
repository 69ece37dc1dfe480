"""The checks, one file each, in the order of ``ORDER``.

A file has ``ORDER``, ``LETTER``, ``TITLE`` and ``rows(on)``, which yields rows in the parent; and,
where a worker has a part, ``inside(bench, **told)``, which returns ``rows.plain`` of what it finds.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType


def load(name: str) -> ModuleType:
    """The module of a check."""
    return importlib.import_module(f"{__name__}.{name}")


def names() -> tuple[str, ...]:
    """All checks, in their order."""
    found = [path.stem for path in Path(__file__).parent.glob("[!_]*.py")]
    return tuple(sorted(found, key=lambda name: (load(name).ORDER, name)))
