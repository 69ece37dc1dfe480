"""PyTorch as Keras' engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from benchmarks import frameworks
from benchmarks.frameworks._keras.device import KerasDevice
from benchmarks.frameworks.contracts import Array, Placed, Settings
from benchmarks.frameworks.torch.device import Engine, Moved


class Device(KerasDevice, Engine):
    """Keras on PyTorch: PyTorch's engine, fed and set up by Keras."""

    def __init__(self, settings: Settings) -> None:
        Engine.__init__(self, settings)

        with frameworks.by_itself():
            import keras

        self._scope = keras.device("gpu:0" if settings.device == "cuda" else "cpu")
        self._scope.__enter__()  # for as long as the process lives
        self.adopt(settings)

    def tensor(self, array: Array) -> Any:
        """As the base says."""
        return torch.from_numpy(array).to(self.asked.device)

    def feed(self, x: Array, y: Array, *, size: int, scale: float) -> Any:
        """As the base says: PyTorch's DataLoader, whose batches lie on the host."""
        return self.loader(x, y, size=size, scale=scale)

    def batches(self, x: Array, y: Array, *, size: int, scale: float) -> Iterable[Placed]:
        """As the contract says."""
        return Moved(self.feed(self.images(x), y, size=size, scale=scale), self.asked.device)

    def traced(self) -> int | None:
        """PyTorch counts its graphs itself."""
        return Engine.traced(self)

    def count_traces(self, network: Any) -> None:
        """Nothing: PyTorch counts its graphs itself."""

    def settings(self) -> dict[str, Any]:
        """As the contract says."""
        return {
            **self.read_back(),
            **self.keras_settings(),
            "version": f"{torch.__version__}, Keras {self.keras.__version__}",
        }
