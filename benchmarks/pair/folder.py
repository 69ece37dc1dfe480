"""Writes a pair of files as a model's folder, so that it can be timed, kept and repeated."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.pair.files import Pair
from benchmarks.tasks.stored import CANONICAL
from benchmarks.tasks.task import TaskError

SOURCES = {"torch": "torch_files", "keras": "keras_files"}
"""Where the files of each side lie in the folder."""
INIT = '''"""A pair: {torch} and {keras}."""

from benchmarks.tasks import words

TASK = words.task(
{words}    batch={batch},
)
'''
FROM_FILE = '''"""{name} of {place}."""

from pathlib import Path

from benchmarks.worker import sources

module = sources.module_of(Path(__file__).parent / "{folder}" / "{file}")


def build(task):
    """The model, its weights not yet set."""
    del task
    return module.{name}()
'''
FROM_MODULE = '''"""{name} of {place}."""

import {place} as module


def build(task):
    """The model, its weights not yet set."""
    del task
    return module.{name}()
'''
OWN = "\n\n{name} = module.{name}\n"
"""What the twin's file defines beside the model."""


def name_of(pair: Pair) -> str:
    """What the pair is called where no folder was named: the names of both sides."""
    names = (made_by.rpartition(":")[2].lower() for made_by in (pair.torch, pair.keras))
    return "_".join(names)


def write(pair: Pair, folder: Path, *, batch: int) -> None:
    """Write a folder that proves and times as the pair does; files of an earlier one go.

    Files are copied, with those beside them that they import; a module that is installed is
    imported from where it is.

    Raises:
        TaskError: the folder holds something else.
    """
    there = {one.name for one in folder.iterdir()} if folder.is_dir() else set()
    if there - {CANONICAL} and "__init__.py" not in there:
        raise TaskError(f"--save {folder}: this folder holds something else")
    for copied in SOURCES.values():
        shutil.rmtree(folder / copied, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    if pair.weights is None:
        (folder / CANONICAL).unlink(missing_ok=True)  # of an earlier pair
    shown = {k: tuple(v) if isinstance(v, list) else v for k, v in pair.task.items()}
    (folder / "__init__.py").write_text(
        INIT.format(
            torch=_shown(pair.torch),
            keras=_shown(pair.keras),
            words="".join(f"    {key}={value!r},\n" for key, value in shown.items()),
            batch=batch,
        )
    )
    for dialect, made_by in (("torch", pair.torch), ("keras", pair.keras)):
        text = _twin(made_by, dialect, pair.folder, folder)
        own = [OWN.format(name=n) for n in ("loss", "optimizer") if pair.task.get(n) == "own"]
        (folder / f"{dialect}.py").write_text(text + "".join(own))


def _shown(made_by: str) -> str:
    place, _, name = made_by.rpartition(":")
    return f"{Path(place).name}:{name}"


def _twin(made_by: str, dialect: str, beside: Path, folder: Path) -> str:
    place, _, name = made_by.rpartition(":")
    path = beside / place
    if not place.endswith(".py"):
        path = beside / (place.replace(".", "/") + ".py")
        if not path.is_file():
            return FROM_MODULE.format(name=name, place=place)
    copied = folder / SOURCES[dialect]
    copied.mkdir()
    for one in _needed(path):
        if one.is_dir():
            shutil.copytree(one, copied / one.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(one, copied / one.name)
    return FROM_FILE.format(name=name, place=path.name, folder=copied.name, file=path.name)


def _needed(path: Path) -> Iterator[Path]:
    """A file, and the files and packages beside it that it imports, and those that they do."""
    waiting, seen = [path], set[Path]()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        yield one
        for source in one.rglob("*.py") if one.is_dir() else [one]:
            for top in _imported(source):
                near = (path.parent / f"{top}.py", path.parent / top)
                waiting += [n for n in near if n.is_file() or (n / "__init__.py").is_file()]


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
