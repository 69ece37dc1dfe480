"""A fake NVML of a GPU at work, with a clock that stands still until a test moves it.

Its power is a square wave, so that the energy of any stretch is known exactly.
"""

# ruff: noqa: N802 - the methods carry the names of the C functions they stand for

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass, field
from typing import Any

import pynvml

from tests.fake_nvml import GIB, FakeNvml

HIGH_W, LOW_W = 400.0, 100.0
PERIOD_S = 0.7
PID = 4321


@dataclass
class WatchedNvml(FakeNvml):
    """What a device answers at ``now_s``; ``energy_offset_j`` makes its counter jump."""

    now_s: float = 100.0
    energy_offset_j: float = 0.0
    mig: bool = False
    counts_reserved: bool = False
    hopper: bool = True
    pids: tuple[int, ...] = (PID,)
    no_field: frozenset[int] = frozenset()
    bits: int = 0x4
    gpm_factor: float = 1.0
    gpm_pairs: list[float] = field(default_factory=list)
    sampled_s: dict[int, float] = field(default_factory=dict)

    def now(self) -> float:
        """The clock, in seconds."""
        return self.now_s

    @property
    def power_w(self) -> float:
        """High in the first half of each period."""
        return HIGH_W if self.now_s % PERIOD_S < PERIOD_S / 2 else LOW_W

    @property
    def energy_j(self) -> float:
        """The integral of the power since second 0."""
        periods, rest_s = divmod(self.now_s, PERIOD_S)
        high_s = periods * PERIOD_S / 2 + min(rest_s, PERIOD_S / 2)
        return HIGH_W * high_s + LOW_W * (self.now_s - high_s)

    def _nvmlDeviceGetUtilizationRates(self, _handle: Any, rates: Any) -> None:
        rates._obj.gpu = 87

    def _nvmlDeviceGetMemoryInfo_v2(self, _handle: Any, memory: Any) -> int | None:
        if memory._obj.version != pynvml.nvmlMemory_v2:
            return int(pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH)
        memory._obj.total, memory._obj.reserved = 80 * GIB, GIB
        memory._obj.free = 77 * GIB
        memory._obj.used = 2 * GIB + self.counts_reserved * GIB
        return None

    def _nvmlDeviceGetComputeRunningProcesses_v3(
        self, _handle: Any, count: Any, infos: Any
    ) -> int | None:
        if count._obj.value < len(self.pids):
            count._obj.value = len(self.pids)
            return int(pynvml.NVML_ERROR_INSUFFICIENT_SIZE)
        for i, pid in enumerate(self.pids):
            infos[i].pid, infos[i].usedGpuMemory = pid, 2 * GIB
        count._obj.value = len(self.pids)
        return None

    def _nvmlDeviceGetFieldValues(self, _handle: Any, _count: Any, values: Any) -> None:
        for value in values._obj:
            if value.fieldId in self.no_field:
                value.nvmlReturn = pynvml.NVML_ERROR_NOT_SUPPORTED
            else:
                value.nvmlReturn = pynvml.NVML_SUCCESS
                value.value.uiVal = round(1000 * self.power_w)

    def _nvmlDeviceGetPowerUsage(self, _handle: Any, milliwatts: Any) -> None:
        milliwatts._obj.value = round(1000 * self.power_w)

    def _nvmlDeviceGetTotalEnergyConsumption(self, _handle: Any, millijoules: Any) -> None:
        millijoules._obj.value = round(1000 * (self.energy_j + self.energy_offset_j))

    def _nvmlDeviceGetClockInfo(self, _handle: Any, _kind: Any, clock: Any) -> None:
        clock._obj.value = 1980

    def _nvmlDeviceGetCurrentClocksEventReasons(self, _handle: Any, reasons: Any) -> None:
        reasons._obj.value = self.bits

    def _nvmlDeviceGetTemperature(self, _handle: Any, _sensor: Any, celsius: Any) -> None:
        celsius._obj.value = 61

    def _nvmlDeviceGetPcieThroughput(self, _handle: Any, counter: Any, value: Any) -> None:
        value._obj.value = 5000 if counter.value == pynvml.NVML_PCIE_UTIL_TX_BYTES else 7000

    def _nvmlDeviceGetMigMode(self, _handle: Any, current: Any, _pending: Any) -> None:
        current._obj.value = self.mig

    def _nvmlGpmQueryDeviceSupport(self, _handle: Any, support: Any) -> None:
        support._obj.isSupportedDevice = self.hopper

    def _nvmlGpmSampleAlloc(self, sample: Any) -> None:
        sample._obj.contents = pynvml.struct_c_nvmlGpmSample_t()

    def _nvmlGpmSampleGet(self, _handle: Any, sample: Any) -> None:
        self.sampled_s[_address(sample)] = self.now_s

    def _nvmlGpmMetricsGet(self, asked: Any) -> None:
        told = asked._obj
        first, second = (self.sampled_s[_address(s)] for s in (told.sample1, told.sample2))
        self.gpm_pairs.append(second - first)
        for slot in told.metrics[: told.numMetrics]:
            slot.nvmlReturn, slot.value = pynvml.NVML_SUCCESS, slot.metricId * self.gpm_factor

    def _nvmlGpmSampleFree(self, sample: Any) -> None:
        self.sampled_s.pop(_address(sample), None)  # it may never have been taken


def square_mean() -> float:
    """The mean power over whole periods."""
    return math.fsum((HIGH_W, LOW_W)) / 2


def _address(sample: Any) -> int:
    return int(ctypes.cast(sample, ctypes.c_void_p).value or 0)
