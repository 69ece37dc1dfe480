"""The child of the proof: one twin in one framework, described, loaded, traced and trained."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import serving
from benchmarks.frameworks.description import Assigned
from benchmarks.tasks import weights, words
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import TaskError, batch_size, draw

PLAIN = SGD(0.01)
STEPS = 3


class ProofWorker:
    """What a worker of the proof remembers between commands."""

    device = "cpu"

    def __init__(self) -> None:
        self.twin: Any = None
        self.task: Any = None

    def open(
        self,
        *,
        framework: str,
        made_by: str,
        task: dict[str, Any],
        batch: int,
        seed: int,
        folder: str,
    ) -> dict[str, Any]:
        """Build the twin and describe it; ``{"usage": line}`` where the user must mend something.

        ``made_by`` is ``file.py:name`` or ``package.module:name``; ``task`` the keywords of
        ``words.task``. ``folder`` is where relative files and modules are looked for; a ``batch``
        of 0 takes one that no axis of the inputs can be mistaken for.
        """
        inspection = importlib.import_module(f"benchmarks.frameworks.{framework}.inspection")
        inspection.set_up(framework, seed)
        side = "PyTorch" if framework == "torch" else "Keras"
        try:
            self.task = words.task(**task)
            make, loss = loaded(made_by, Path(folder), own=self.task.loss is None)
            size = batch or batch_size(self.task)
            self.twin = inspection.Twin(make, loss, self.task, draw(self.task, size, seed))
            told = self.twin.describe()
        except TaskError as error:
            return {"usage": str(error)}
        except Exception as error:
            return {"usage": f"the {side} side, {made_by}: {_line(error)}"}
        return {"description": asdict(told)}

    def trace(
        self,
        *,
        assigned: dict[str, dict[str, str]],
        keys: dict[str, Any],
        seed: int,
        path: str,
        alike: bool,
    ) -> dict[str, Any]:
        """Load seeded weights and write one watched pass to ``path`` (npz)."""
        self._load(assigned, keys, seed, alike=alike)
        _write(path, self.twin.trace())
        return {"findings": list(self.twin.findings)}

    def equalize(self, *, changes: dict[str, dict[str, float]]) -> dict[str, Any]:
        """Set constants of layers: by path, ``epsilon`` and ``momentum`` in Keras' sense."""
        self.twin.equalize(changes)
        return {}

    def train(
        self, *, assigned: dict[str, dict[str, str]], keys: dict[str, Any], seed: int, path: str
    ) -> dict[str, Any]:
        """Write weights and buffers after 3 steps of the task's optimizer and of plain SGD."""
        found: dict[str, Any] = {}
        optimizers = (("task", self.task.optimizer), ("sgd", PLAIN)) if keys else ()
        for name, optimizer in optimizers:
            self._load(assigned, keys, seed, alike=False)
            after = self.twin.train(optimizer, STEPS)
            found |= {f"after/{name}/{key}": held for key, held in after.items()}
        _write(path, found)
        return {"findings": list(self.twin.findings)}

    def _load(
        self, assigned: dict[str, dict[str, str]], keys: dict[str, Any], seed: int, *, alike: bool
    ) -> None:
        values = weights.generate(keys, seed, alike=alike)
        self.twin.load(tuple(Assigned(p, names) for p, names in assigned.items()), values)


def loaded(
    made_by: str, folder: Path, *, own: bool
) -> tuple[Callable[[], Any], Callable[..., Any] | None]:
    """What builds a model, and the file's own loss where the task asks for it.

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
    loss = getattr(module, "loss", None) if own else None
    if own and loss is None:
        raise TaskError(f"{place} defines no loss(outputs, targets), which --loss own asks for")
    return make, loss


def _module(place: str, folder: Path) -> Any:
    is_file = place.endswith(".py")
    path = folder / place
    if is_file and not path.is_file():
        raise TaskError(f"there is no file {place}")
    sys.path.insert(0, str(path.parent.resolve() if is_file else folder))
    try:
        return _executed(path) if is_file else importlib.import_module(place)
    except Exception as error:
        raise TaskError(f"{place} cannot be imported: {_line(error)}") from error


def _executed(path: Path) -> Any:
    located = importlib.util.spec_from_file_location(f"twinbench_pair_{path.stem}", path)
    if located is None or located.loader is None:
        raise ImportError(path.name)
    module = importlib.util.module_from_spec(located)
    sys.modules[located.name] = module
    located.loader.exec_module(module)
    return module


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:400]


def _write(path: str, arrays: dict[str, Any]) -> None:
    plain = {key: np.asarray(held, dtype=np.float64) for key, held in arrays.items()}
    np.savez(path, allow_pickle=False, **plain)


if __name__ == "__main__":
    serving.work(ProofWorker(), *map(int, sys.argv[1:3]))
