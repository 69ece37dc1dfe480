"""One side of a model, loaded: a model's folder, or a file of anybody's."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.frameworks.contracts import Source
from benchmarks.request import discovery
from benchmarks.tasks import words
from benchmarks.tasks.optimizers import Own
from benchmarks.tasks.task import Task, TaskError

SIDES = {"torch": "PyTorch", "keras": "Keras"}
"""What the dialects are called."""


def of_model(
    name: str, models_dir: Path | None = None, weights: Path | None = None
) -> dict[str, Any]:
    """What tells a worker of a model in a folder; plain data.

    ``weights`` take the place of those in its folder, if any.
    """
    kept = weights or discovery.weights(name, models_dir)
    return {
        "model": name,
        "models_dir": str(models_dir.resolve()) if models_dir else None,
        "weights": str(kept.resolve()) if kept else None,
    }


def of_files(
    torch: str, keras: str, task: Mapping[str, Any], folder: Path, models_dir: Path | None = None
) -> dict[str, Any]:
    """What tells a worker of a pair of files; ``task`` holds the keywords of ``words.task``."""
    return {
        "files": {"torch": torch, "keras": keras},
        "task": dict(task),
        "folder": str(folder),
        "models_dir": str(models_dir.resolve()) if models_dir else None,
    }


def task_of(source: Mapping[str, Any]) -> Task:
    """The task of a source; no framework is imported.

    Raises:
        TaskError: its words are wrong.
    """
    if "files" in source:
        return words.task(**source["task"])
    return discovery.imported(source["model"], _path(source["models_dir"]))


def load(source: Mapping[str, Any], dialect: str) -> Source:
    """One side; this imports its framework.

    Raises:
        TaskError: it cannot be had; the text says why.
    """
    task, models_dir = task_of(source), _path(source["models_dir"])
    if "files" in source:
        made_by = source["files"][dialect]
        make, module = _from_file(made_by, Path(source["folder"]))
        extra = (models_dir,) if models_dir else ()
        own = _own(task, module, dialect, made_by.rpartition(":")[0])
        return Source(task=task, make=lambda _: make(), extra=extra, **own)
    module = discovery.twin(source["model"], dialect, models_dir)
    return Source(
        task=task,
        make=module.build,
        postprocess=getattr(module, "postprocess", None),
        choices=getattr(module, "choices", None),
        generates=_generates(module),
        **_own(task, module, dialect, f"model {source['model']!r}: {dialect}.py"),
        extra=discovery.roots(source["model"], models_dir),
    )


def _generates(module: Any) -> dict[str, Any]:
    """The functions by which a twin generates token by token; none where it lacks one."""
    found = {name: getattr(module, name, None) for name in ("first_token", "next_token")}
    return found if all(found.values()) else {}


def _own(task: Task, module: Any, dialect: str, where: str) -> dict[str, Any]:
    """The loss and the optimizer that a twin's file defines, where the task leaves them to it.

    Raises:
        TaskError: the file lacks one.
    """
    call = "optimizer(parameters)" if dialect == "torch" else "optimizer()"

    def of(name: str, signature: str, asks: str) -> Any:
        found = getattr(module, name, None)
        if found is None:
            raise TaskError(f"{where} defines no {signature}, which {asks} asks for")
        return found

    losses = {}
    for one in task.steps:
        if one.loss is None:
            name = f"{one.name}_loss" if one.name else "loss"
            asks = f"the objective {one.name}" if one.name else "--loss own"
            losses[one.name] = of(name, f"{name}(outputs, targets)", asks)
    own = isinstance(task.optimizer, Own)
    return {
        "losses": losses,
        "optimizer": of("optimizer", call, "--optimizer own") if own else None,
    }


def line(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:400]


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _from_file(made_by: str, folder: Path) -> tuple[Callable[[], Any], Any]:
    """What builds a model, and the module that holds it.

    Raises:
        TaskError: it cannot be had; the text says why.
    """
    place, colon, name = made_by.rpartition(":")
    if not colon or not place or not name:
        raise TaskError(f"{made_by!r} is not FILE.py:NAME or PACKAGE.MODULE:NAME")
    module = _module(place, folder)
    if not hasattr(module, name):
        near = [n for n in vars(module) if not n.startswith("_")]
        raise TaskError(f"{place} has no {name!r}; it has: {', '.join(near)}")
    make = getattr(module, name)
    if not callable(make):
        raise TaskError(f"{made_by} is a {type(make).__name__}, not a class or a function")
    needed = [
        p.name
        for p in inspect.signature(make).parameters.values()
        if p.default is p.empty and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
    ]
    if needed:
        raise TaskError(
            f"{made_by} needs {', '.join(needed)}: write a function without arguments that calls it"
        )
    return make, module


def _module(place: str, folder: Path) -> Any:
    is_file = place.endswith(".py")
    path = folder / place
    if is_file and not path.is_file():
        raise TaskError(f"there is no file {place}")
    sys.path.insert(0, str(path.parent.resolve() if is_file else folder))
    try:
        return _executed(path) if is_file else importlib.import_module(place)
    except Exception as error:
        raise TaskError(f"{place} cannot be imported: {line(error)}") from error


def module_of(path: Path) -> Any:
    """The module in a file; what lies beside it can be imported."""
    sys.path.insert(0, str(path.parent.resolve()))
    return _executed(path)


def _executed(path: Path) -> Any:
    located = importlib.util.spec_from_file_location(f"twinbench_pair_{path.stem}", path)
    if located is None or located.loader is None:
        raise ImportError(path.name)
    module = importlib.util.module_from_spec(located)
    sys.modules[located.name] = module
    located.loader.exec_module(module)
    return module
