"""A Keras model on TensorFlow, as it is timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from benchmarks.frameworks._keras.program import KerasProgram, Training
from benchmarks.frameworks.contracts import Generates, Placed


class Program(KerasProgram):
    """The functions that ``fit`` and ``predict`` call; loss and gradients in the same mode."""

    def prepare(self) -> None:
        """As the base says."""
        network, scale = self.network, self.network.optimizer.scale_loss
        network.make_train_function()
        network.make_predict_function()

        def of(training: Training, given: Any, wanted: Any) -> Any:
            with tf.GradientTape() as recorded:
                value = training.loss(given, wanted)
                scaled = scale(value)  # the loss itself but where losses are scaled
            return value, recorded.gradient(scaled, training.moved)

        def gradients(given: Any, wanted: Any) -> Any:
            found = [of(training, given, wanted) for training in self.trainings]
            return [value for value, _ in found], [slopes for _, slopes in found]

        def step(given: Any, wanted: Any) -> Any:
            values = []
            for training in self.trainings:
                value, slopes = of(training, given, wanted)
                training.optimizer.apply(slopes, training.moved)
                values.append(value)
            return tf.add_n(values)

        self._loss = self.device.as_keras_does(self.loss_of)
        self._gradients = self.device.as_keras_does(gradients)
        self._step = self.device.as_keras_does(step)
        if self.source.postprocess is not None:
            self._postprocess = self.device.as_keras_does(self.source.postprocess)

    def generating(self, function: Generates) -> Callable[[Any], Any]:
        """As the base says."""
        return self.device.as_keras_does(lambda given: function(self.model, given))

    def infer(self, batch: Placed) -> Any:
        """As the contract says."""
        return self.network.predict_function([self.data(batch)[:1]])

    def loss(self, batch: Placed) -> Any:
        """As the contract says."""
        return self._loss(batch.inputs, batch.targets)

    def gradients(self, batch: Placed) -> Any:
        """As the contract says."""
        values, slopes = self._gradients(batch.inputs, batch.targets)
        return (values, slopes) if len(self.trainings) > 1 else (values[0], slopes[0])

    def step(self, batch: Placed) -> Any:
        """As the contract says; after the first step since a reset, Keras gives the mean loss."""
        if len(self.trainings) > 1:
            return self._step(batch.inputs, batch.targets)
        return self.network.train_function(iter((self.data(batch),)))["loss"]
