"""A Keras model on PyTorch, as it is timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.frameworks._keras.program import KerasProgram, Training
from benchmarks.frameworks.contracts import Generates, Placed


class Program(KerasProgram):
    """The functions that ``fit`` and ``predict`` call; loss and gradients in the same mode."""

    def prepare(self) -> None:
        """As the base says."""
        self.network.make_train_function()
        self.network.make_predict_function()
        self._scale = self.network.optimizer.scale_loss
        self._postprocess = self.source.postprocess
        if self.device.asked.mode == "compile":
            if self._postprocess is not None:
                self._postprocess = torch.compile(self._postprocess)
            if not self.source.task.objectives:
                self._build_losses()
            self.trainings = [
                training._replace(loss=torch.compile(training.loss)) for training in self.trainings
            ]

    def generating(self, function: Generates) -> Callable[[Any], Any]:
        """As the base says."""

        def run(given: Any) -> Any:
            return function(self.model, given)

        return torch.compile(run) if self.device.asked.mode == "compile" else run

    def generated(self, name: str, given: Any) -> Any:
        """As the base says."""
        with torch.no_grad():
            return super().generated(name, given)

    def set_training(self, *, training: bool) -> None:
        """As ``fit`` and ``evaluate`` do for layers that PyTorch brought along."""
        self.network.train(training)

    def infer(self, batch: Placed) -> Any:
        """As the contract says."""
        return self.network.predict_function((self.data(batch)[:1],))

    def postprocess(self, outputs: Any) -> Any:
        """As the contract says."""
        with torch.no_grad():
            return super().postprocess(outputs)

    def loss(self, batch: Placed) -> Any:
        """As the contract says."""
        return self.loss_of(batch.inputs, batch.targets)

    def gradients(self, batch: Placed) -> Any:
        """As the contract says."""
        return self._sum([self._slopes(training, batch) for training in self.trainings])

    def step(self, batch: Placed) -> Any:
        """As the contract says; after the first step since a reset, Keras gives the mean loss."""
        if len(self.trainings) == 1:
            return self.network.train_function((self.data(batch),))["loss"]
        losses = []
        for training in self.trainings:
            losses.append(self._slopes(training, batch))
            with torch.no_grad():
                training.optimizer.apply([v.value.grad for v in training.moved], training.moved)
        return self._sum(losses)

    def _slopes(self, training: Training, batch: Placed) -> Any:
        """The loss of an objective; the gradients of the variables that it moves are kept."""
        self.network.zero_grad()
        value = training.loss(batch.inputs, batch.targets)
        moved = None if len(self.trainings) == 1 else [v.value for v in training.moved]
        self._scale(value).backward(inputs=moved)  # the loss itself but where losses are scaled
        return value

    def _sum(self, losses: list[Any]) -> Any:
        """One loss as it is; several as their sum."""
        return losses[0] if len(losses) == 1 else torch.stack(losses).detach().sum()

    def _build_losses(self) -> None:
        """As ``fit`` does first: Dynamo cannot trace the code that builds losses and metrics."""
        from benchmarks.tasks.task import draw

        one = self.device.place(draw(self.source.task, 1, 0), self.source.task)
        self.network._symbolic_build(data_batch=self.data(one))  # noqa: SLF001 - fit's own, and no other way in
