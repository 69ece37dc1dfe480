"""A Keras model on PyTorch, as it is timed."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.frameworks._keras.program import KerasProgram
from benchmarks.frameworks.contracts import Placed


class Program(KerasProgram):
    """The functions that ``fit`` and ``predict`` call; loss and gradients in the same mode."""

    def prepare(self) -> None:
        """As the base says."""
        self.network.make_train_function()
        self.network.make_predict_function()
        self._scale = self.network.optimizer.scale_loss
        self._loss = self.loss_of
        if self.device.asked.mode == "compile":
            self._build_losses()
            self._loss = torch.compile(self.loss_of)

    def set_training(self, *, training: bool) -> None:
        """As ``fit`` and ``evaluate`` do for layers that PyTorch brought along."""
        self.network.train(training)

    def infer(self, batch: Placed) -> Any:
        """As the contract says."""
        return self.network.predict_function((self.data(batch)[:1],))

    def loss(self, batch: Placed) -> Any:
        """As the contract says."""
        return self._loss(batch.inputs, batch.targets)

    def gradients(self, batch: Placed) -> Any:
        """As the contract says."""
        self.network.zero_grad()
        value = self._loss(batch.inputs, batch.targets)
        self._scale(value).backward()  # the loss itself but where losses are scaled
        return value

    def step(self, batch: Placed) -> Any:
        """As the contract says; after the first step since a reset, Keras gives the mean loss."""
        return self.network.train_function((self.data(batch),))["loss"]

    def _build_losses(self) -> None:
        """As ``fit`` does first: Dynamo cannot trace the code that builds losses and metrics."""
        from benchmarks.tasks.task import draw

        one = self.device.place(draw(self.source.task, 1, 0), self.source.task)
        self.network._symbolic_build(data_batch=self.data(one))  # noqa: SLF001 - fit's own, and no other way in
