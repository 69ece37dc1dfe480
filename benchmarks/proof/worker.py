"""The child of the proof: one twin in one framework, described, loaded, traced and trained."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import frameworks
from benchmarks.frameworks.encoding import assignment
from benchmarks.proof import compare
from benchmarks.tasks import stored, weights
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import TaskError, draw
from benchmarks.worker import protocol, sources

PLAIN = SGD(0.01)
STEPS = 3


class ProofWorker:
    """What a worker of the proof remembers between commands."""

    device = "cpu"

    def __init__(self) -> None:
        self.twin: Any = None
        self.source: Any = None
        self.batch: Any = None
        self.times, self.nudged = 1.0, False
        self.stored: dict[str, Any] = {}

    def open(
        self,
        *,
        framework: str,
        source: dict[str, Any],
        shapes: Mapping[str, list[int]],
        settings: Mapping[str, int],
        batch: int,
        seed: int,
    ) -> dict[str, Any]:
        """Build the twin and describe it; ``{"usage": line}`` where the user must mend something.

        ``source`` is one of ``sources``; ``shapes`` and ``settings`` are the task's.
        """
        inspection = frameworks.part(framework, "inspection")
        inspection.set_up(seed)
        if self.source is None:
            gc.freeze()  # Keras collects garbage before each model: not what was imported
        dialect = frameworks.facts(framework).dialect
        try:
            self.source = sources.load(source, dialect)
            self.source = replace(self.source, task=self.source.task.at(shapes, settings))
            self.stored = stored.read(Path(source["weights"])) if source.get("weights") else {}
            self.batch = draw(self.source.task, batch, seed)
            self.twin = inspection.Twin(self.source, self.batch)
            told = self.twin.describe()
        except TaskError as error:
            return {"usage": str(error)}
        except Exception as error:
            if "files" not in source:
                raise
            side, made_by = sources.SIDES[dialect], source["files"][dialect]
            return {"usage": f"the {side} side, {made_by}: {sources.line(error)}"}
        return {"description": asdict(told)}

    def trace(
        self,
        *,
        assigned: list[list[Any]],
        keys: dict[str, Any],
        seed: int,
        path: str,
        alike: bool,
        times: float = 1.0,
    ) -> dict[str, Any]:
        """Load seeded weights and write one watched pass to ``path`` (npz).

        ``alike`` weights are drawn by kind and shape; ``times`` is that of ``infer_larger``.
        """
        with self._larger(times):
            self._load(assigned, keys, seed, alike=alike)
            _write(path, self.twin.trace())
        return {"findings": list(self.twin.findings)}

    def adopt(self, *, assigned: list[list[Any]], file: str, path: str) -> dict[str, Any]:
        """Load a file of weights and write them all, canonical, to ``path`` (npz).

        ``{"refused": line}`` where the file does not fit this side.
        """
        self.twin.load(assignment(assigned), {})
        try:
            held = self.twin.adopt(Path(file))
        except TaskError as error:
            return {"refused": str(error)}
        _write(path, held)
        return {"refused": None}

    def keep(self, *, path: str) -> dict[str, Any]:
        """Use the canonical weights of a file (npz) from here on."""
        self.stored = stored.read(Path(path))
        return {}

    def equalize(self, *, changes: dict[str, dict[str, float]]) -> dict[str, Any]:
        """Set constants of layers: by path, ``epsilon`` and ``momentum`` in Keras' sense."""
        self.twin.equalize(changes)
        return {}

    def train(
        self, *, assigned: list[list[Any]], keys: dict[str, Any], seed: int, path: str
    ) -> dict[str, Any]:
        """Write weights and buffers after 3 steps of the task's optimizers and of plain SGD."""
        found: dict[str, Any] = {}
        stated = self.source.task.steps
        plain = tuple(replace(objective, optimizer=PLAIN) for objective in stated)
        for name, objectives in {"task": stated, "sgd": plain}.items() if keys else ():
            self._load(assigned, keys, seed)
            after = self.twin.train(objectives, STEPS)
            found |= {f"after/{name}/{key}": held for key, held in after.items()}
        _write(path, found)
        return {"findings": list(self.twin.findings)}

    def infer(
        self, *, assigned: list[list[Any]], keys: dict[str, Any], seed: int, path: str
    ) -> dict[str, Any]:
        """Write the outputs of one inference pass, ``output/<name>``."""
        self._load(assigned, keys, seed)
        _write(path, {f"output/{name}": held for name, held in self.twin.infer().items()})
        return {"findings": []}

    def infer_larger(self, *, times: float, nudged: bool, **told: Any) -> dict[str, Any]:
        """As ``infer``, of values ``times`` as large; the weights ``nudged`` or as they are."""
        with self._larger(times, nudged=nudged):
            return self.infer(**told)

    def reference(
        self,
        *,
        assigned: list[list[Any]],
        keys: dict[str, Any],
        seed: int,
        batch: int,
        paths: dict[str, str],
    ) -> dict[str, Any]:
        """Write what a timed stack must compute on a batch of this size, for each of two parts.

        ``inference``: ``output/<name>``. ``training``: the ``loss`` of a first step of the task's
        optimizer, ``update/<key>`` of every trained weight and its norm before, ``size/<key>``;
        nothing where training draws masks.
        """
        self.twin.feed(draw(self.source.task, batch, seed))
        values = self._load(assigned, keys, seed)
        _write(paths["inference"], {f"output/{n}": held for n, held in self.twin.infer().items()})
        found: dict[str, Any] = {}
        if keys and not self.twin.describe().drops:
            self._load(assigned, keys, seed)
            after = self.twin.train(self.source.task.steps, 1)
            moved = [k for k, one in keys.items() if one["trainable"] and k in after]
            found = {"loss": after["loss"]}
            found |= {f"update/{key}": after[key] - values[key] for key in moved}
            found |= {f"size/{key}": np.linalg.norm(values[key]) for key in moved}
        _write(paths["training"], found)
        return {}

    def count(self) -> dict[str, Any]:
        """FLOPs of a sample's inference by the framework's own counter, or why there are none."""
        flops, reason = self.twin.count()
        return {"flops": flops, "reason": reason}

    @contextmanager
    def _larger(self, times: float, *, nudged: bool = False) -> Iterator[None]:
        """Feed and load values that many times as large while it lasts."""
        self.times, self.nudged = times, nudged
        self.twin.feed(compare.larger_batch(self.batch, times))
        try:
            yield
        finally:
            self.times, self.nudged = 1.0, False
            self.twin.feed(self.batch)

    def _load(
        self, assigned: list[list[Any]], keys: dict[str, Any], seed: int, *, alike: bool = False
    ) -> dict[str, Any]:
        values = weights.generate(keys, seed, alike=alike)
        if not alike:
            values = weights.overlaid(values, self.stored)
        values = compare.larger(values, keys, self.times)
        if self.nudged:
            values = compare.nudged(values, seed)
        self.twin.load(assignment(assigned), values)
        return values


def _write(path: str, arrays: dict[str, Any]) -> None:
    plain = {key: np.asarray(held, dtype=np.float64) for key, held in arrays.items()}
    np.savez(path, allow_pickle=False, **plain)


if __name__ == "__main__":
    protocol.work(ProofWorker(), *map(int, sys.argv[1:3]))
