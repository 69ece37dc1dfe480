"""JAX as Keras' engine: set up, read back, fed and waited for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.frameworks._keras.device import KerasDevice
from benchmarks.frameworks.contracts import Array, Placed, Settings

POOL = "tf_XLAEigen"
"""The name of the threads in the pool that XLA computes with on the CPU."""


class Device(KerasDevice):
    """Keras on JAX; ``pending`` is what has been asked of it and may not be done."""

    def __init__(self, settings: Settings) -> None:
        if settings.policy != "defaults":
            os.environ["NPROC"] = str(settings.threads)  # read when XLA makes its pool of threads
        import jax

        jax.config.update("jax_platforms", settings.device)
        jax.config.update("jax_enable_x64", settings.storage == "float64")
        if settings.tf32 is not None:
            products = "tensorfloat32" if settings.tf32 else "float32"
            jax.config.update("jax_default_matmul_precision", products)
        self.jax, self.pending, self._peak = jax, list[Any](), 0
        try:
            self.device = jax.devices()[0]
        except (RuntimeError, AssertionError) as error:  # the latter where no plugin is installed
            raise NotImplementedError(f"JAX sees no {settings.device}") from error
        self.adopt(settings)

    def tensor(self, array: Array) -> Any:
        """As the base says."""
        return self.jax.block_until_ready(self.jax.device_put(array, self.device))

    def feed(self, x: Array, y: Array, *, size: int, scale: float) -> Any:
        """As the base says: a ``keras.utils.PyDataset``."""
        dtype = self.asked.storage

        class Batches(self.keras.utils.PyDataset):  # type: ignore[name-defined]
            """Keras' own way to feed a backend that brings no pipeline."""

            def __len__(self) -> int:
                return len(y) // size

            def __getitem__(self, index: int) -> Any:
                part = slice(index * size, (index + 1) * size)
                floats = x[part].astype(dtype) / scale if x.dtype == "uint8" else x[part]
                return floats, y[part]

        return Batches()

    def batches(self, x: Array, y: Array, *, size: int, scale: float) -> Iterable[Placed]:
        """As the contract says."""
        return _Moved(self.feed(self.images(x), y, size=size, scale=scale), self)

    def put(self, array: Any) -> Any:
        """An array on the device, when it will be there."""
        return self.jax.device_put(array, self.device)

    def synchronize(self) -> None:
        """As the contract says."""
        self.jax.block_until_ready(self.pending)
        self.pending.clear()

    def peak_memory(self) -> int | None:
        """As the contract says; JAX cannot reset its peak, so one that did not rise is unknown."""
        if self.asked.device == "cpu":
            return None
        before, self._peak = self._peak, int(self.device.memory_stats()["peak_bytes_in_use"])
        return self._peak if self._peak > before else None

    def ceiling_work(self, size: int, copied: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """As the contract says."""
        jax, dtype = self.jax, self.asked.compute
        a, b, source = (jax.numpy.ones(n, dtype) for n in ((size, size), (size, size), (copied,)))
        multiply, negate = jax.jit(jax.numpy.matmul), jax.jit(jax.numpy.negative)

        def kept(run: Callable[..., Any], *operands: Any) -> Callable[[], Any]:
            return lambda: self.pending.append(run(*operands))

        return kept(multiply, a, b), kept(negate, source)

    def settings(self) -> dict[str, Any]:
        """As the contract says."""
        jax, cpu = self.jax, self.asked.device == "cpu"
        return {
            **self.keras_settings(),
            "threads": _threads() if cpu else None,
            "interop_threads": "XLA's own dispatch, which cannot be set",
            "tf32": jax.config.jax_default_matmul_precision not in {"float32", "highest"},
            "autotune": None if cpu else True,
            "flush_denormals": self._flushes_denormals() if cpu else None,
            "onednn": False,  # no release of jaxlib brings it
            "version": f"{jax.__version__}, Keras {self.keras.__version__}",
            "loader": "keras.utils.PyDataset in the training process",
        }

    def _flushes_denormals(self) -> bool:
        """Found by experiment: half of the smallest normal number."""
        halved = self.jax.jit(lambda x: x * 0.5)(self.jax.numpy.float32(2.0**-126))
        return bool(halved == 0)


class _Moved:
    """A data set of Keras' whose batches are on the device as they come."""

    def __init__(self, host: Any, device: Device) -> None:
        self.host, self.device = host, device

    def __iter__(self) -> Any:
        for index in range(len(self.host)):
            x, y = self.host[index]
            yield Placed((self.device.put(x),), (self.device.put(y),))


def _threads() -> int:
    """The threads of XLA's pool, counted in the process: JAX itself does not tell."""
    names = (task / "comm" for task in Path("/proc/self/task").iterdir())
    return sum(name.read_text().startswith(POOL) for name in names)
