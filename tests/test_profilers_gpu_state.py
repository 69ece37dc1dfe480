"""A GPU's disturbances are told under the real binding, and what NVML refuses is no disturbance."""

# ruff: noqa: N802 - the methods carry the names of the C functions they stand for

from __future__ import annotations

import ctypes
from typing import Any

import pynvml
import pytest

from profilers.gpu.gpu_state import Reader, State, visible_uuid
from tests.fake_nvml import FakeGpu, FakeNvml

NOT_SUPPORTED = 3


class Busy(FakeNvml):
    """A device with a clock, reasons for it, and processes."""

    bits = 0x44
    pids = (11, 12)

    def _nvmlDeviceGetClockInfo(self, _handle: Any, _kind: Any, clock: Any) -> None:
        clock._obj.value = 1755

    def _nvmlDeviceGetCurrentClocksEventReasons(self, _handle: Any, reasons: Any) -> None:
        reasons._obj.value = self.bits

    def _nvmlDeviceGetComputeRunningProcesses_v3(
        self, _handle: Any, count: Any, infos: Any
    ) -> int | None:
        if count._obj.value < len(self.pids):
            count._obj.value = len(self.pids)
            return int(pynvml.NVML_ERROR_INSUFFICIENT_SIZE)
        for i, pid in enumerate(self.pids):
            infos[i].pid = pid
            infos[i].usedGpuMemory = ctypes.c_ulonglong(1).value
        count._obj.value = len(self.pids)
        return None


def test_what_comes_from_outside_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    Busy().install(monkeypatch)
    with Reader() as watch:
        state = watch.state()
    assert state == State(
        sm_clock_mhz=1755, reasons=("hardware thermal slowdown",), pids=(11, 12)
    )  # and the power cap, which heavy work reaches by itself, is not
    assert state.foreign([11]) == 1
    assert state.foreign([11, 12]) == 0
    assert state.foreign([99]) is None  # seen from inside a container, numbers tell nothing


@pytest.mark.parametrize("name", ["GPU-b", "1"])
def test_the_device_is_the_first_that_cuda_sees(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"{name},0")
    fake = Busy(gpus=(FakeGpu("GPU-a"), FakeGpu("GPU-b")))
    fake.errors = {"nvmlDeviceGetClockInfo:1": NOT_SUPPORTED}
    fake.install(monkeypatch)
    with Reader() as watch:
        state = watch.state()
    assert state is not None
    assert state.sm_clock_mhz is None


def test_without_nvml_there_is_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml(errors={"nvmlInitWithFlags": 12}).install(monkeypatch)
    with Reader() as watch:
        assert watch.state() is None
    FakeNvml(errors={"nvmlDeviceGetHandleByIndex_v2": 15}).install(monkeypatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with Reader() as watch:
        assert watch.state() is None


def test_what_nvml_refuses_is_no_disturbance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fake = Busy()
    fake.errors = dict.fromkeys(
        (
            "nvmlDeviceGetClockInfo",
            "nvmlDeviceGetCurrentClocksEventReasons",
            "nvmlDeviceGetComputeRunningProcesses_v3",
        ),
        NOT_SUPPORTED,
    )
    fake.install(monkeypatch)
    with Reader() as watch:
        assert watch.state() == State(sm_clock_mhz=None, reasons=(), pids=None)


def test_an_older_driver_that_lists_no_processes_is_no_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    Busy(absent=frozenset({"nvmlDeviceGetComputeRunningProcesses_v3"})).install(monkeypatch)
    with Reader() as watch:
        state = watch.state()
    assert state is not None
    assert state.pids is None


def test_the_visible_device_has_a_uuid_or_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    FakeNvml(gpus=(FakeGpu("GPU-a"), FakeGpu("GPU-b"))).install(monkeypatch)
    assert visible_uuid().value == "GPU-b"
    FakeNvml(errors={"nvmlInitWithFlags": 12}).install(monkeypatch)
    assert "no NVIDIA driver" in str(visible_uuid().reason)
