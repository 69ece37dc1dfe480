"""Labelled pictures of noise, and a linear model in NumPy that an audit can have predict them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.audit import accuracy, checks
from benchmarks.audit.accuracy import Labelled
from benchmarks.audit.child import Bench
from benchmarks.audit.rows import Row
from benchmarks.audit.run import Audited, Terms
from benchmarks.request.plan import Group
from benchmarks.request.selection import Selection
from benchmarks.results.records import Stack
from benchmarks.tasks.data import pictures
from benchmarks.tasks.task import Batch, LossPart, Size, Task, classes, draw, image
from benchmarks.worker.phases._protocol import Built

CLASSES, EACH, BATCH = 6, 5, 4
TASK = Task(
    inputs={"image": image(4, 4, 1)},
    targets={"label": classes(CLASSES)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    sizes={"quick": Size(batch=BATCH), "standard": Size(batch=BATCH)},
)


def folder(path: Path, *, shape: tuple[int, ...] = (4, 4), count: int = CLASSES) -> Path:
    """``EACH`` arrays of noise in each of so many classes' folders below a path, which is given."""
    rng = np.random.default_rng(0)
    for label in range(count):
        place = path / f"class{label}"
        place.mkdir(parents=True)
        for index in range(EACH):
            np.save(place / f"{index}.npy", rng.integers(0, 256, shape, dtype=np.uint8))
    return path


def kernel(seed: int) -> NDArray[np.float64]:
    """The weights of a linear model, shape (pixels, classes)."""
    return np.random.default_rng(seed).normal(size=(16, CLASSES))


def logits(path: Path, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the model of those weights gives for the arrays of ``folder``, scaled to 0 to 1."""
    held = np.stack([np.load(one) for one in sorted(path.rglob("*.npy"))])
    return np.asarray(held.reshape(len(held), -1).astype(np.float32) / 255 @ weights)


class Linear:
    """A device, a program and a worker in one: a linear model that answers the checks."""

    def __init__(self, task: Task, weights: NDArray[np.float64]) -> None:
        self.weights, self.sizes = weights, list[int]()
        built = Built(
            device=self,
            program=self,
            trainer=None,
            recorder="",
            task=task,
            keys={},
            weights={},
            fed=draw(task, BATCH, 0),
            batch=cast(Any, None),
            batch_size=BATCH,
        )
        self.bench = Bench(built=built, job={})

    def ask(self, verb: str, *, deadline_s: float, check: str, **told: Any) -> dict[str, Any]:
        """As a worker does."""
        assert (verb, deadline_s) == ("audit", 600.0)
        return {"found": checks.load(check).inside(self.bench, **told)}

    def place(self, batch: Batch, task: Task) -> Any:
        """As a device does."""
        (name,) = task.inputs
        return batch.inputs[name]

    def reset(self) -> None:
        """Nothing was trained."""

    def set_training(self, *, training: bool) -> None:
        """It only predicts."""
        assert not training

    def infer(self, held: NDArray[Any]) -> Any:
        """The logits; the number of samples is kept."""
        self.sizes.append(len(held))
        return held.reshape(len(held), -1) @ self.weights

    def outputs(self, value: Any) -> dict[str, Any]:
        """By name."""
        return {"output": value}


def labelled(path: Path, out: Path, task: Task = TASK, scaling: str = "unit") -> Labelled:
    """The pictures of a folder as an audit has them; files go below ``out``."""
    scratch = out / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    return accuracy.prepared(pictures.find(path), scaling, out / "predictions", [task], scratch)


def group(*stacks: str, task: Task = TASK) -> Group:
    """The model ``linear`` on some stacks."""
    made = tuple(map(Stack.parse, stacks))
    return Group(
        name="linear",
        model="linear",
        sized="quick",
        task=task,
        size=task.size("quick"),
        stacks=made,
        matchups=(),
    )


def audited(of: Labelled, worker: Linear, stack: str, task: Task = TASK) -> list[Row]:
    """The rows of the check of accuracy for one stack, whose worker is given."""
    on = Audited(
        terms=Terms(selection=Selection(), threads=1, labelled=of),
        group=replace(group(stack), task=task),
        stack=Stack.parse(stack),
        proof=cast(Any, None),
        handoff={},
        folder=of.folder,
        main=cast(Any, worker),
    )
    return list(checks.load("accuracy").rows(on))
