"""Weights and delays instead of a model; every step subtracts a hundredth of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.frameworks.contracts import Handoff, Placed, Source
from benchmarks.frameworks.description import Arrays

from .device import Device


class Program:
    """As the contract says, of a twin whose ``build`` gives shapes of weights by layer and name."""

    def __init__(
        self, device: Device, source: Source, handoff: Handoff, values: Mapping[str, Any]
    ) -> None:
        del handoff
        device.strike("build")
        source.make(source.task)
        self.device, self.task = device, source.task
        self._values, self._steps = dict(values), 0

    @property
    def layers(self) -> dict[str, Any]:
        """None that could be watched."""
        return {}

    def set_training(self, *, training: bool) -> None:
        """Nothing to switch."""

    def infer(self, batch: Placed) -> Any:
        """One delay; logits that follow from the weights alone."""
        self.device.work("forward")
        return self._logits(batch)

    def loss(self, batch: Placed) -> Any:
        """One delay, unless more are asked."""
        self.device.work("loss", self.device.loss_delays)
        return np.float64(self._logits(batch).mean())

    def gradients(self, batch: Placed) -> Any:
        """Five delays: so many more than the loss that a busy machine does not hide it."""
        self.device.work("backward", 5)
        return np.float64(self._logits(batch).mean())

    def step(self, batch: Placed) -> Any:
        """Three delays."""
        self.device.work("train_step", 3)
        self._steps += 1
        return np.float64(self._logits(batch).mean())

    def learn(self, steps: int) -> float:
        """Take so many steps without a delay; the loss before them."""
        self._steps += steps
        return float(logits(self.task, 1, self._values).mean() * self.device.wrong)

    def reset(self) -> None:
        """No step taken."""
        self._steps = 0

    def export(self) -> Arrays:
        """The weights; wrong ones where that is asked."""
        left = 1.0 - 0.01 * self._steps * self.device.wrong
        return {name: values * left for name, values in self._values.items()}

    def outputs(self, value: Any) -> Arrays:
        """As it is."""
        return {"output": np.asarray(value, dtype=np.float64)}

    def traced(self) -> int | None:
        """As many as steps were worked, where that is asked."""
        return self.device.worked if self.device.retraces else None

    def _logits(self, batch: Placed) -> Any:
        return logits(self.task, len(batch.inputs[0]), self._values) * self.device.wrong


def logits(task: Any, size: int, values: Mapping[str, Any]) -> Any:
    """The sum of all weights, as often as there are classes and samples."""
    classes = next((t.count for t in task.targets.values() if t.count), 1)
    return np.full((size, classes), sum(float(v.sum()) for v in values.values()))
