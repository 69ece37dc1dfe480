"""The network of a denoising diffusion model in Keras."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import KerasTensor, layers, ops

from benchmarks.models.generative.ddpm_unet import (
    ATTENDS,
    BLOCKS,
    DROPOUT,
    EPSILON,
    MULTIPLES,
    schedule,
    waves,
)
from benchmarks.tasks.task import Task


class Noised(layers.Layer):
    """Mixes images (n, h, w, c) with noise of that shape as times (n, 1) say."""

    def call(self, image: Any, noise: Any, time: Any) -> Any:
        """The sum (n, h, w, c)."""
        mixed = [
            one * ops.cast(ops.take(share, time[:, 0, None, None, None], axis=0), one.dtype)
            for one, share in zip((image, noise), schedule(), strict=True)
        ]
        return mixed[0] + mixed[1]


class Waves(layers.Layer):
    """Gives times (n, 1) a vector (n, width) each."""

    def __init__(self, width: int, **named: Any) -> None:
        super().__init__(**named)
        self.width = width

    def call(self, time: Any) -> Any:
        """The vectors."""
        return ops.cast(ops.take(waves(self.width), time[:, 0], axis=0), self.compute_dtype)


@dataclass(frozen=True)
class Parts:
    """What a network is made of, at its number of groups and for its vectors of time (n, 512)."""

    groups: int
    when: KerasTensor

    def active(self, x: KerasTensor, *, name: str) -> KerasTensor:
        """Group normalisation and SiLU."""
        x = layers.GroupNormalization(self.groups, epsilon=EPSILON, name=name)(x)
        return layers.Activation("silu", name=f"{name}_silu")(x)

    def residual(self, x: KerasTensor, filters: int, *, name: str) -> KerasTensor:
        """Two 3x3 convolutions, each behind a normalisation, with the time added between them."""
        y = self.active(x, name=f"{name}-norm1")
        y = layers.Conv2D(filters, 3, padding="same", name=f"{name}-conv1")(y)
        when = layers.Activation("silu", name=f"{name}-time_silu")(self.when)
        when = layers.Dense(filters, name=f"{name}-time")(when)
        when = layers.Reshape((1, 1, filters), name=f"{name}-time_map")(when)
        y = self.active(layers.Add(name=f"{name}-add1")([y, when]), name=f"{name}-norm2")
        y = layers.Dropout(DROPOUT, name=f"{name}-drop")(y)
        y = layers.Conv2D(filters, 3, padding="same", name=f"{name}-conv2")(y)
        if x.shape[-1] != filters:
            x = layers.Conv2D(filters, 1, name=f"{name}-shortcut")(x)
        return layers.Add(name=f"{name}-add2")([x, y])

    def attention(self, x: KerasTensor, *, name: str) -> KerasTensor:
        """Attention of each pixel to all of its map, with one head."""
        height, columns, channels = x.shape[1:]
        y = layers.GroupNormalization(self.groups, epsilon=EPSILON, name=f"{name}-norm")(x)
        y = layers.Reshape((height * columns, channels), name=f"{name}-flat")(y)
        y = layers.MultiHeadAttention(1, channels, name=f"{name}-heads")(y, y)
        y = layers.Reshape((height, columns, channels), name=f"{name}-map")(y)
        return layers.Add(name=f"{name}-add")([x, y])

    def level(self, x: KerasTensor, filters: int, *, attends: bool, name: str) -> KerasTensor:
        """A block, with attention behind it where the level has it."""
        x = self.residual(x, filters, name=f"{name}-block")
        return self.attention(x, name=f"{name}-attention") if attends else x


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    width, groups, given = task.settings["width"], task.settings["groups"], task.inputs
    image = keras.Input(given["image"].shape, name="image")  # (n, 32, 32, 3)
    noise = keras.Input(given["noise"].shape, name="noise")
    time = keras.Input(given["time"].shape, dtype="int32", name="time")  # (n, 1)
    when = layers.Dense(4 * width, activation="silu", name="time1")(Waves(width, name="w")(time))
    parts = Parts(groups, layers.Dense(4 * width, name="time2")(when))
    x = layers.Conv2D(width, 3, padding="same", name="first")(
        Noised(name="noised")(image, noise, time)
    )
    kept = [x]
    for level, multiple in enumerate(MULTIPLES):
        for _ in range(BLOCKS):
            name = f"down-{len(kept) - 1}"
            x = parts.level(x, multiple * width, attends=level == ATTENDS, name=name)
            kept.append(x)
        if level + 1 < len(MULTIPLES):
            name = f"down-{len(kept) - 1}-conv"
            x = layers.Conv2D(x.shape[-1], 3, strides=2, padding="same", name=name)(x)
            kept.append(x)
    x = parts.level(x, x.shape[-1], attends=True, name="middle1")  # (n, 4, 4, 256)
    x = parts.level(x, x.shape[-1], attends=False, name="middle2")
    at = 0
    for level, multiple in reversed(list(enumerate(MULTIPLES))):
        for _ in range(BLOCKS + 1):
            x = layers.Concatenate(name=f"up-{at}-concat")([x, kept.pop()])
            x = parts.level(x, multiple * width, attends=level == ATTENDS, name=f"up-{at}")
            at += 1
        if level:
            x = layers.UpSampling2D(2, name=f"up-{at}-grow")(x)
            x = layers.Conv2D(x.shape[-1], 3, padding="same", name=f"up-{at}-conv")(x)
            at += 1
    x = parts.active(x, name="norm")
    outputs = layers.Conv2D(given["image"].shape[2], 3, padding="same", name="last")(x)
    return keras.Model({"image": image, "noise": noise, "time": time}, outputs)
