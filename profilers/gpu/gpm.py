"""Which part of a GPU works, from NVML's performance monitors (GPM; Hopper and newer).

"Kernel resident" says that something ran; these counters say how much of the chip it used. Each
figure comes from two samples, and holds for the time between them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

from profilers.gpu.nvml import reason_of
from profilers.host import Reading
from profilers.metrics import GPM_APART_S, GPM_PAIRS, Metric

MIB = 1024**2


def _share(name: str, meaning: str) -> Metric:
    return Metric(name=name, kind="gauge", since=True, min_n=GPM_PAIRS, meaning=meaning)


METRICS = (
    _share("gpu.sm_active_pct", "multiprocessors that worked"),
    _share("gpu.tensor_active_pct", "time in tensor operations of any kind"),
    _share("gpu.dram_pct", "memory bandwidth, of the most there is"),
    _share("gpu.pcie_sent_bytes_per_s", "from the GPU to the host"),
    _share("gpu.pcie_received_bytes_per_s", "from the host to the GPU"),
)
_IDS = {  # NVML's numbers (nvml.h, nvmlGpmMetricId_t) and what their unit is in ours
    METRICS[0].name: (2, 1),
    METRICS[1].name: (5, 1),
    METRICS[2].name: (10, 1),
    METRICS[3].name: (20, MIB),
    METRICS[4].name: (21, MIB),
}


class Pairs:
    """Pairs of samples of one device."""

    def __init__(
        self, api: ModuleType, handle: Any, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._api, self._handle, self._now = api, handle, now
        self._samples: list[Any] = []
        self._taken_s = 0.0

    def open(self) -> str | None:
        """Make room for the samples; why it cannot be had, or ``None``."""
        api = self._api
        try:
            if not api.nvmlGpmQueryDeviceSupport(self._handle).isSupportedDevice:
                return "GPM unsupported: it came with Hopper (compute 9.0)"
            self._samples = [api.nvmlGpmSampleAlloc(), api.nvmlGpmSampleAlloc()]
            api.nvmlGpmSampleGet(self._handle, self._samples[0])
            self._taken_s = self._now()
        except api.NVMLError as error:
            self.close()
            return f"GPM: {reason_of(error)}"
        return None

    def read(self, *, edge: bool) -> dict[str, Reading[float]]:
        """The figures since the last sample; nothing where that is too recent.

        At an ``edge`` a new pair begins whatever the last one's age, so that none spans it.

        Raises:
            NVMLError: the device refused a sample.
        """
        now_s = self._now()
        apart = now_s - self._taken_s >= GPM_APART_S
        if not self._samples or not (apart or edge):
            return {}
        api, (before, after) = self._api, self._samples
        api.nvmlGpmSampleGet(self._handle, after)
        if not apart:
            self._samples, self._taken_s = [after, before], now_s
            return {}
        asked = api.c_nvmlGpmMetricsGet_t()
        asked.version, asked.numMetrics = api.NVML_GPM_METRICS_GET_VERSION, len(_IDS)
        asked.sample1, asked.sample2 = before, after
        for slot, (number, _) in zip(asked.metrics, _IDS.values(), strict=False):
            slot.metricId = number
        api.nvmlGpmMetricsGet(asked)
        self._samples, self._taken_s = [after, before], now_s
        return {
            name: _reading(api, slot, unit)
            for (name, (_, unit)), slot in zip(_IDS.items(), asked.metrics, strict=False)
        }

    def close(self) -> None:
        """Free the samples."""
        for sample in self._samples:
            with suppress(self._api.NVMLError):
                self._api.nvmlGpmSampleFree(sample)
        self._samples = []


def _reading(api: ModuleType, slot: Any, unit: float) -> Reading[float]:
    if slot.nvmlReturn != api.NVML_SUCCESS:
        return Reading(None, f"GPM: {reason_of(api.NVMLError(slot.nvmlReturn))}")
    if not math.isfinite(slot.value):
        return Reading(None, "GPM: not a number")
    return Reading(slot.value * unit)
