"""What Keras sets alike on every engine, and how it is fed."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import frameworks
from benchmarks.frameworks._keras import patches
from benchmarks.frameworks.contracts import Array, Placed, Settings
from benchmarks.tasks.task import Batch, Input, Task

IMAGE_RANK = 4


class KerasDevice(ABC):
    """Keras on an engine; a subclass sets up its engine and then calls ``adopt``.

    Attributes:
        compiles: modes in which Keras is told ``jit_compile=True``.
        traces: how often a graph was traced, where ``counted`` functions are.
    """

    asked: Settings
    compiles: tuple[str, ...] = ("xla", "compile")

    def adopt(self, settings: Settings) -> None:
        """Import Keras and set what is its own."""
        with frameworks.by_itself():
            import keras

        self.keras, self.asked, self.traces = keras, settings, 0
        # Whatever the user's keras.json says.
        keras.config.set_image_data_format(settings.layout or "channels_last")
        keras.config.set_floatx(settings.storage)
        keras.config.set_dtype_policy(
            f"mixed_{settings.compute}" if settings.mixed else settings.storage
        )
        if settings.storage == "float64":
            patches.compute_in_float64()
        keras.utils.set_random_seed(settings.seed)

    @property
    def channels_first(self) -> bool:
        """Whether Keras is set to images that are channels first."""
        return self.asked.layout == "channels_first"

    def laid_out(self, task: Task) -> Task:
        """The task as a twin is built for it here: images in Keras' layout."""
        if not self.channels_first:
            return task

        def turned(one: Input) -> Input:
            *grid, channels = one.shape
            return replace(one, shape=(channels, *grid)) if one.kind == "image" else one

        return replace(task, inputs={n: turned(one) for n, one in task.inputs.items()})

    def images(self, array: Array) -> Array:
        """Images (n, h, w, c) as a twin takes them here; anything else as it is."""
        turn = self.channels_first and array.ndim == IMAGE_RANK
        return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if turn else array

    def place(self, batch: Batch, task: Task) -> Placed:
        """As the contract says."""
        images = [one.kind == "image" for one in task.inputs.values()]
        inputs = zip(batch.inputs.values(), images, strict=True)
        sources = {n for n, one in task.inputs.items() if one.kind == "image"}
        like = [one.kind == "like" and one.source in sources for one in task.targets.values()]
        targets = zip(batch.targets.values(), like, strict=True)
        return Placed(
            tuple(self._placed(self.images(a) if turn else a) for a, turn in inputs),
            tuple(self._placed(self.images(a) if turn else a) for a, turn in targets),
        )

    def _placed(self, array: Array) -> Any:
        """One array on the device, floats in the type that they are kept in."""
        return self.tensor(array.astype(self.asked.storage) if array.dtype.kind == "f" else array)

    @abstractmethod
    def tensor(self, array: Array) -> Any:
        """An array on the device, in its own type."""

    @abstractmethod
    def feed(self, x: Array, y: Array, *, size: int, scale: float) -> Any:
        """What ``fit`` and ``evaluate`` are fed with: batches of labelled samples in their order.

        ``x`` is laid out already; its bytes are divided by ``scale``.
        """

    def batches(self, x: Array, y: Array, *, size: int, scale: float) -> Iterable[Placed]:
        """As the contract says."""
        return Each(self.feed(self.images(x), y, size=size, scale=scale))

    def traced(self) -> int | None:
        """How many graphs this process has traced, where the mode traces any."""
        return None if self.asked.mode == "eager" else self.traces

    def count_traces(self, network: Any) -> None:
        """A graph calls Python only while it is traced, so its calls are its traces."""
        for name in ("train_step", "test_step", "predict_step"):
            setattr(network, name, self.counted(getattr(network, name)))

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its calls counted."""

        @functools.wraps(function)
        def counted(*arguments: Any) -> Any:
            self.traces += 1
            return function(*arguments)

        return counted

    def keras_settings(self) -> dict[str, Any]:
        """The settings that are Keras' own, read back."""
        policy = self.keras.config.dtype_policy()
        mixed = {"mixed": "dtype policy: every layer"} if self.asked.mixed else {}
        return {
            "precision": policy.compute_dtype,
            "policy": self.asked.policy,
            "layout": self.keras.config.image_data_format(),
            "engine": self.asked.mode,
            **mixed,
        }


class Each:
    """Batches (x, y) of something that can be gone through again, each as ``Placed``."""

    def __init__(self, host: Iterable[Any]) -> None:
        self.host = host

    def __iter__(self) -> Any:
        for x, y in self.host:
            yield Placed((x,), (y,))
