"""The Keras side."""

from typing import Any

import keras
from keras import layers

from benchmarks.tasks.task import Task


class Model(keras.Model):
    """Both networks; without real samples the generator's alone are judged."""

    def __init__(self, latent: int, size: int) -> None:
        super().__init__()
        self.generator = keras.Sequential([
            layers.Input((latent,)),
            layers.Dense(7),
            layers.BatchNormalization(momentum=0.99, epsilon=1e-3),
            layers.ReLU(),
            layers.Dense(size, activation="tanh"),
        ])  # fmt: skip
        self.discriminator = keras.Sequential([
            layers.Input((size,)),
            layers.Dense(6),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Dense(1),
        ])  # fmt: skip

    def call(self, noise: Any, real: Any = None, training: bool = False) -> dict[str, Any]:
        """Logits of generated and of real samples."""
        judged = {"fake": self.discriminator(self.generator(noise, training=training))}
        if real is None:
            return judged
        return {"real": self.discriminator(real), **judged}


def build(task: Task) -> Model:
    """The model at the sizes of the task."""
    return Model(task.inputs["noise"].shape[0], task.inputs["real"].shape[0])
