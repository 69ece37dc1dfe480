"""The twin of no framework: weights by name, and steps that subtract a hundredth of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frameworks.contracts import Settings, Source
from benchmarks.frameworks.description import Arrays, Assigned, Description, Node, Weight
from benchmarks.tasks.optimizers import Optimizer
from benchmarks.tasks.task import Batch, TaskError

from .device import Device
from .program import logits


def set_up(seed: int) -> None:
    """Nothing to set up; a fault may strike in ``prove``."""
    del seed
    Device(Settings(mode="b")).strike("prove")


class Twin:
    """As the contract says; ``build(task)`` gives shapes of weights by layer and name."""

    def __init__(self, source: Source, batch: Batch) -> None:
        self.task = source.task
        self.layers: Mapping[str, Mapping[str, tuple[int, ...]]] = source.make(source.task)
        self.findings: list[dict[str, Any]] = []
        self._values: dict[str, Any] = {}
        self.feed(batch)

    def feed(self, batch: Batch) -> None:
        """As the contract says."""
        self.size = len(next(iter(batch.inputs.values())))

    def describe(self) -> Description:
        """As the contract says: every layer is a dense one."""
        nodes = tuple(
            Node(
                path=path,
                kind="Dense",
                cls="Dense",
                weights={n: Weight(shape=tuple(s)) for n, s in weights.items()},
                input=(weights["kernel"][0],),
                output=(weights["kernel"][1],),
                macs=int(np.prod(weights["kernel"])),
            )
            for path, weights in self.layers.items()
        )
        sizes = [np.prod(w.shape) for node in nodes for w in node.weights.values()]
        return Description(nodes=nodes, parameters=int(sum(sizes)))

    def load(self, assigned: tuple[Assigned, ...], values: Mapping[str, Any]) -> None:
        """As the contract says."""
        del assigned
        self._values = dict(values)

    def adopt(self, path: Path) -> Arrays:
        """No file fits."""
        raise TaskError(f"{path.name} does not fit: nothing is computed")

    def infer(self) -> Arrays:
        """As the contract says."""
        return {"output": logits(self.task, self.size, self._values)}

    def trace(self) -> Arrays:
        """Logits and weights, so that there is something to compare."""
        output = self.infer()["output"]
        slopes = {f"gradient/{key}": held for key, held in self._values.items()}
        return {"output/output": output, "loss": output.mean(), **slopes}

    def train(self, optimizer: Optimizer, steps: int) -> Arrays:
        """The weights after so many steps."""
        del optimizer
        loss = logits(self.task, self.size, self._values).mean()
        self._values = {k: v * (1.0 - 0.01 * steps) for k, v in self._values.items()}
        return dict(self._values) | {"loss": loss}

    def equalize(self, changes: Mapping[str, Mapping[str, float]]) -> None:
        """Nothing to set."""

    def count(self) -> tuple[float | None, str]:
        """Nothing is computed."""
        return None, "nothing is computed"
