"""A pure-Python NVML under the real binding, so that its code runs on machines without a GPU.

The binding asks the library for a function by name, passes pointers for the results and checks the
returned code. This object answers the same way; ``errors`` makes any function fail with any code.
"""

# ruff: noqa: N802 - the methods carry the names of the C functions they stand for

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pynvml
import pytest

GIB = 1024**3
NOT_FOUND = 6


@dataclass(frozen=True)
class FakeGpu:
    """What one GPU answers."""

    uuid: str = "GPU-00000000-0000-0000-0000-000000000001"
    name: str = "NVIDIA Fake 100"
    memory_total_bytes: int = 80 * GIB
    compute_capability: tuple[int, int] = (9, 0)


@dataclass
class FakeNvml:
    """The library: its GPUs, the codes to fail with by function name, and what was called.

    An error keyed ``name:index`` fails for the GPU of that index only. A name in ``absent`` is not
    exported, as in an older driver.
    """

    gpus: tuple[FakeGpu, ...] = (FakeGpu(),)
    driver: str = "580.00.01"
    errors: dict[str, int] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    called: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., int]:
        answer = getattr(type(self), f"_{name}", None) if name.startswith("nvml") else None
        if answer is None or name in self.absent:
            raise AttributeError(name)

        def call(*arguments: Any) -> int:
            self.called.append(name)
            index = _index(arguments[0]) if arguments else None
            code = self.errors.get(name, self.errors.get(f"{name}:{index}", 0))
            return code or answer(self, *arguments) or 0

        return call

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "FakeNvml":
        """Put this library under the binding for one test."""
        monkeypatch.setattr(pynvml, "nvmlLib", self)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        return self

    def _nvmlInitWithFlags(self, flags: int) -> None:
        pass

    def _nvmlShutdown(self) -> None:
        pass

    def _nvmlSystemGetDriverVersion(self, buffer: Any, _length: Any) -> None:
        buffer.value = self.driver.encode()

    def _nvmlDeviceGetCount_v2(self, count: Any) -> None:
        count._obj.value = len(self.gpus)

    def _nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> None:
        _point(handle, index.value)

    def _nvmlDeviceGetHandleByUUID(self, uuid: Any, handle: Any) -> int | None:
        uuids = [gpu.uuid for gpu in self.gpus]
        if uuid.value.decode() not in uuids:
            return NOT_FOUND
        _point(handle, uuids.index(uuid.value.decode()))
        return None

    def _nvmlDeviceGetUUID(self, handle: Any, buffer: Any, _length: Any) -> None:
        buffer.value = self._gpu(handle).uuid.encode()

    def _nvmlDeviceGetName(self, handle: Any, buffer: Any, _length: Any) -> None:
        buffer.value = self._gpu(handle).name.encode()

    def _nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> None:
        memory._obj.total = self._gpu(handle).memory_total_bytes

    def _nvmlDeviceGetCudaComputeCapability(self, handle: Any, major: Any, minor: Any) -> None:
        major._obj.value, minor._obj.value = self._gpu(handle).compute_capability

    def _gpu(self, handle: Any) -> FakeGpu:
        index = _index(handle)
        assert index is not None
        return self.gpus[index]


def _point(handle: Any, index: int) -> None:
    """Write a handle: a pointer that is the index plus one, because a null handle is none."""
    ctypes.cast(handle, ctypes.POINTER(ctypes.c_void_p))[0] = index + 1


def _index(argument: Any) -> int | None:
    """The GPU that a first argument means, where it is an index or a handle."""
    if isinstance(argument, ctypes.c_uint):
        return int(argument.value)
    if isinstance(argument, pynvml.c_nvmlDevice_t):
        address = ctypes.cast(argument, ctypes.c_void_p).value
        return address - 1 if address else None
    return None
