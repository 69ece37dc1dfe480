"""DCGAN in Keras."""

from typing import Any

import keras
from keras import layers

from benchmarks.models.generative.dcgan import EPSILON, MOMENTUM, SLOPE
from benchmarks.tasks.task import Task


def norm(name: str) -> layers.Layer:
    """Batch normalisation with the constants that both twins use."""
    return layers.BatchNormalization(epsilon=EPSILON, momentum=MOMENTUM, name=name)


def generator(latent: int, width: int, channels: int) -> keras.Sequential:
    """From noise (n, latent) to images (n, 64, 64, channels) between -1 and 1."""
    parts = [
        layers.Input((latent,)),
        layers.Reshape((1, 1, latent), name="reshape"),
        layers.Conv2DTranspose(8 * width, 4, use_bias=False, name="grow1"),  # (n, 4, 4, 512)
    ]
    for at, filters in enumerate((4 * width, 2 * width, width, channels), start=1):
        parts += [norm(f"bn{at}"), layers.ReLU(name=f"relu{at}")]
        # An even kernel and size: "same" pads both sides alike.
        parts.append(
            layers.Conv2DTranspose(
                filters, 4, strides=2, padding="same", use_bias=False, name=f"grow{at + 1}"
            )
        )
    parts.append(layers.Activation("tanh", name="tanh"))
    return keras.Sequential(parts, name="generator")


def discriminator(width: int, shape: tuple[int, ...]) -> keras.Sequential:
    """From images (n, 64, 64, channels) to logits (n, 1)."""
    parts = [layers.Input(shape)]
    for at, filters in enumerate((width, 2 * width, 4 * width, 8 * width), start=1):
        parts.append(
            layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False, name=f"conv{at}")
        )
        if at > 1:
            parts.append(norm(f"bn{at}"))
        parts.append(layers.LeakyReLU(SLOPE, name=f"leaky{at}"))
    parts += [layers.Flatten(name="flatten"), layers.Dense(1, use_bias=False, name="dense")]
    return keras.Sequential(parts, name="discriminator")


class DCGAN(keras.Model):
    """Both networks; without real images the generator's alone are judged."""

    def __init__(self, latent: int, width: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.generator = generator(latent, width, shape[-1])
        self.discriminator = discriminator(width, shape)

    def call(self, noise: Any, real: Any = None, training: bool = False) -> dict[str, Any]:
        """Logits (n, 1) of images made of noise (n, 100) and of real ones (n, 64, 64, 3)."""
        made = self.generator(noise, training=training)
        judged = {"fake": self.discriminator(made, training=training)}
        if real is None:
            return judged
        return {"real": self.discriminator(real, training=training), **judged}


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    latent, shape = task.inputs["noise"].shape[0], task.inputs["real"].shape
    return DCGAN(latent, task.settings["width"], shape)
