"""Frameworks, one folder each: facts that are read without importing it, and five contracts.

A folder's ``__init__`` defines ``FACTS``, described in ``about``, and imports nothing of the
framework. Beside it lie ``device.py``, ``program.py``, ``inspection.py``, ``recorder.py`` and
``trainers/<name>.py``, which define what ``contracts`` says. To add a framework, add a folder;
nothing else is edited. It may also lie in a folder of one's own, which the environment variable
``TWINBENCH_FRAMEWORKS_DIR`` names; it imports what lies beside it by ``from .device import …``.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType

from benchmarks.frameworks.about import Facts, Package

OURS = ("matplotlib", "pandas", "sklearn")
"""What twinbench needs for data and reports, and Keras imports wherever it is installed."""
DIR = "TWINBENCH_FRAMEWORKS_DIR"
if os.environ.get(DIR):
    __path__.append(os.environ[DIR])  # what lies there is imported as if it lay here


def folders() -> dict[str, Path]:
    """The folders of all frameworks, by name; of two of one name ours."""
    found = [path.parent for place in __path__ for path in Path(place).glob("[!_]*/__init__.py")]
    return {folder.name: folder for folder in reversed(found)}


def names() -> tuple[str, ...]:
    """The names of all frameworks, sorted."""
    return tuple(sorted(folders()))


@cache
def facts(name: str) -> Facts:
    """What must be known of a framework before it is imported.

    Raises:
        ValueError: there is no such framework.
    """
    if name not in names():
        raise ValueError(f"there is no framework {name!r}; there are: {', '.join(names())}")
    found: Facts = importlib.import_module(f"{__name__}.{name}").FACTS
    return found


def known(name: str) -> Facts | None:
    """The facts of a framework that a stored run names; ``None`` where it is not one of ours."""
    try:
        return facts(name)
    except ValueError:
        return None


def every() -> dict[str, Facts]:
    """The facts of all frameworks, by name.

    Those in a run that names no stacks come first, and among equals those with their own dialect.
    """
    found = [(name, facts(name)) for name in names()]
    found.sort(key=lambda item: (not any(item[1].modes.values()), item[1].dialect != item[0]))
    return dict(found)


def packages() -> dict[str, Package]:
    """What frameworks need, by the name of the module, in the order of ``every``."""
    return {need.module: need for found in every().values() for need in found.needs}


@contextmanager
def by_itself() -> Iterator[None]:
    """Import a framework as if nothing of ``OURS`` were installed; afterwards it can be imported.

    Otherwise its import would take longer because of what another program needs. What has been
    imported before is left as it is.
    """
    hidden = dict.fromkeys(name for name in OURS if name not in sys.modules)
    sys.modules.update(hidden)  # type: ignore[arg-type]  # ``None`` is how Python is told so
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)


def part(name: str, what: str) -> ModuleType:
    """A module of a framework's folder (``device``, ``program``, …); this imports the framework."""
    with by_itself():
        return importlib.import_module(f"{__name__}.{name}.{what}")
