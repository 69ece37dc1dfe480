"""A Keras model on TensorFlow, as it is timed."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from benchmarks.frameworks._keras.program import KerasProgram
from benchmarks.frameworks.contracts import Placed


class Program(KerasProgram):
    """The functions that ``fit`` and ``predict`` call; loss and gradients in the same mode."""

    def prepare(self) -> None:
        """As the base says."""
        network, scale = self.network, self.network.optimizer.scale_loss
        network.make_train_function()
        network.make_predict_function()

        def gradients(given: Any, wanted: Any) -> Any:
            with tf.GradientTape() as recorded:
                value = self.loss_of(given, wanted)
                scaled = scale(value)  # the loss itself but where losses are scaled
            return value, recorded.gradient(scaled, network.trainable_variables)

        self._loss = self.device.as_keras_does(self.loss_of)
        self._gradients = self.device.as_keras_does(gradients)

    def infer(self, batch: Placed) -> Any:
        """As the contract says."""
        return self.network.predict_function([self.data(batch)[:1]])

    def loss(self, batch: Placed) -> Any:
        """As the contract says."""
        return self._loss(batch.inputs, batch.targets)

    def gradients(self, batch: Placed) -> Any:
        """As the contract says."""
        return self._gradients(batch.inputs, batch.targets)

    def step(self, batch: Placed) -> Any:
        """As the contract says; after the first step since a reset, Keras gives the mean loss."""
        return self.network.train_function(iter((self.data(batch),)))["loss"]
