"""What NVML tells of the one GPU that is watched, chosen by its UUID.

Only calls that cost microseconds are made at every reading: the list of processes takes
milliseconds and holds a lock of the driver, so it is asked where a phase begins or ends.
Utilisation is called what it is: the share of time in which at least one kernel was resident.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

from profilers.gpu import gpm, nvml
from profilers.host import Reading
from profilers.metrics import ENERGY_S, PCIE_LOOKS, UTILISATION_S, Capability, Lost, Metric
from profilers.probes._protocol import Probe, Target

RESIDENT, USED, PROCESS = (
    "gpu.kernel_resident_pct",
    "gpu.memory_used_bytes",
    "gpu.process_memory_bytes",
)
POWER, ENERGY, CLOCK = "gpu.power_w", "gpu.energy_j", "gpu.sm_clock_mhz"
EVENTS, HEAT = "gpu.clock_events", "gpu.temperature_c"
PCIE = ("gpu.pcie_sent_now_bytes_per_s", "gpu.pcie_received_now_bytes_per_s")
"""By the number of NVML's counter."""
METRICS = (
    Metric(
        name=RESIDENT,
        kind="gauge",
        min_s=UTILISATION_S,
        meaning="time in which a kernel was resident",
    ),
    Metric(name=USED, kind="gauge", meaning="memory in use on the device, by all, less reserved"),
    Metric(name=PROCESS, kind="edge", meaning="memory of the process as the driver counts it"),
    Metric(name=POWER, kind="gauge", min_s=ENERGY_S, meaning="power of the board"),
    Metric(name=ENERGY, kind="counter", min_s=ENERGY_S, meaning="energy by the driver's counter"),
    Metric(name=CLOCK, kind="gauge", meaning="clock of the multiprocessors"),
    Metric(name=EVENTS, kind="flags", flags=nvml.CLOCK_EVENTS, meaning="what held the clock down"),
    Metric(name=HEAT, kind="gauge", meaning="temperature of the chip"),
    Metric(name=PCIE[0], kind="gauge", min_n=PCIE_LOOKS, meaning="to the host, 20 ms of a second"),
    Metric(name=PCIE[1], kind="gauge", min_n=PCIE_LOOKS, meaning="from it, 20 ms of a second"),
    *gpm.METRICS,
)
GONE = {15, 16}
"""Codes after which a device answers no more: it is lost, or must be reset."""
NOT_OF_MIG = frozenset({RESIDENT, POWER, ENERGY, CLOCK, EVENTS, HEAT, *PCIE})
MIG = "MIG: NVML tells this of a whole GPU only"
SLOW_S = 1.0
"""How often PCIe is asked where GPM is not there: each call watches the bus for 20 ms."""
KILO, MILLI = 1000, 1e-3


@dataclass(frozen=True, slots=True)
class Missing:
    """The probe of a GPU that cannot be read, and why."""

    reason: str

    def probe(self) -> dict[str, Capability]:
        """Nothing, for one reason."""
        return {metric.name: Capability(self.reason) for metric in METRICS}

    def about(self) -> dict[str, str | None]:
        """Nothing is known of it."""
        return {}

    def read(self, *, edge: bool) -> dict[str, Reading[float]]:
        """Nothing."""
        del edge
        return {}

    def close(self) -> None:
        """Nothing is held."""


class Gpu:
    """The probe of one device."""

    def __init__(
        self,
        api: ModuleType,
        handle: Any,
        pid: int,
        *,
        mig: bool = False,
        stack: ExitStack | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._handle, self._pid, self._mig = api, handle, pid, mig
        self._stack, self._now = stack or ExitStack(), now
        self._able: dict[str, Capability] = {}
        self._pairs: gpm.Pairs | None = None
        self._power_field: int | None = None
        self._slow_s = now()

    def probe(self) -> dict[str, Capability]:
        """Ask for everything once."""
        able = {name: Capability(self._obstacle(name)) for name in self._calls()}
        if not self._mig:
            able[POWER] = self._power_source()
        pairs = gpm.Pairs(self._api, self._handle, self._now)
        reason = MIG if self._mig else pairs.open()
        if not reason:
            self._pairs = pairs
            able |= dict.fromkeys(PCIE, Capability("GPM tells it of all the time"))
        self._able = able | {metric.name: Capability(reason) for metric in gpm.METRICS}
        return self._able

    def about(self) -> dict[str, str | None]:
        """The device and what reads it, without its UUID, which is a serial number."""
        api = self._api
        return {
            "name": self._told(api.nvmlDeviceGetName, self._handle),
            "driver": self._told(api.nvmlSystemGetDriverVersion),
            "binding": nvml.binding_version(),
        }

    def read(self, *, edge: bool) -> dict[str, Reading[float]]:
        """What is cheap; the process's memory at edges alone, PCIe once a second between them.

        Raises:
            Lost: the device is gone.
        """
        now_s = self._now()
        slow = not edge and now_s - self._slow_s >= SLOW_S  # an edge must not wait for it
        if slow:
            self._slow_s = now_s
        left_out = {*(() if edge else (PROCESS,)), *(() if slow else PCIE)}
        found = {
            name: self._ask(call)
            for name, call in self._calls().items()
            if name not in left_out and not self._able[name].reason
        }
        if self._pairs:
            try:
                found |= self._pairs.read(edge=edge)
            except self._api.NVMLError as error:
                refused: Reading[float] = Reading(None, self._reason(error))
                found |= {metric.name: refused for metric in gpm.METRICS}
        return found

    def close(self) -> None:
        """Free the samples and shut NVML down."""
        if self._pairs:
            self._pairs.close()
        self._stack.close()

    def _calls(self) -> dict[str, Callable[[], float | None]]:
        api, handle = self._api, self._handle
        return {
            RESIDENT: lambda: api.nvmlDeviceGetUtilizationRates(handle).gpu,
            USED: self._used,
            PROCESS: self._of_process,
            POWER: self._power,
            ENERGY: lambda: api.nvmlDeviceGetTotalEnergyConsumption(handle) * MILLI,
            CLOCK: lambda: api.nvmlDeviceGetClockInfo(handle, api.NVML_CLOCK_SM),
            EVENTS: lambda: api.nvmlDeviceGetCurrentClocksEventReasons(handle),
            HEAT: lambda: api.nvmlDeviceGetTemperature(handle, api.NVML_TEMPERATURE_GPU),
            **{name: partial(self._pcie, counter) for counter, name in enumerate(PCIE)},
        }

    def _obstacle(self, name: str) -> str | None:
        """Why a figure cannot be had; the process may not be on the device yet, so it is tried."""
        if self._mig and name in NOT_OF_MIG:
            return MIG
        if name in {PROCESS, POWER}:
            return None
        try:
            return self._ask(self._calls()[name]).reason
        except Lost as lost:
            return str(lost)

    def _power_source(self) -> Capability:
        """Instantaneous power where the driver gives it, else its average; which, is noted."""
        reason = None
        for number, note in (
            (self._api.NVML_FI_DEV_POWER_INSTANT, "instantaneous"),
            (self._api.NVML_FI_DEV_POWER_AVERAGE, "average over 1 s"),
            (None, "nvmlDeviceGetPowerUsage: an average over 1 s on most GPUs since Ampere"),
        ):
            self._power_field = number
            try:
                found = self._ask(self._power)
            except Lost as lost:
                return Capability(str(lost))
            if found.value is not None:
                return Capability(note=note)
            reason = found.reason
        return Capability(reason)

    def _power(self) -> float:
        api = self._api
        if self._power_field is None:
            return float(api.nvmlDeviceGetPowerUsage(self._handle)) * MILLI
        (told,) = api.nvmlDeviceGetFieldValues(self._handle, [self._power_field])
        if told.nvmlReturn != api.NVML_SUCCESS:
            raise api.NVMLError(told.nvmlReturn)
        return float(told.value.uiVal) * MILLI

    def _used(self) -> float:
        """What is neither free nor the driver's own.

        NVML's documentation has version 2 count the reserved memory as used, and drivers do not:
        this way it does not matter.
        """
        told = self._api.nvmlDeviceGetMemoryInfo(self._handle, version=self._api.nvmlMemory_v2)
        return max(0.0, float(told.total - told.free - told.reserved))

    def _of_process(self) -> float | None:
        # By its version: where a driver lacks it, the plain name raises what is no NVMLError.
        for process in self._api.nvmlDeviceGetComputeRunningProcesses_v3(self._handle):
            if process.pid == self._pid and process.usedGpuMemory is not None:
                return float(process.usedGpuMemory)
        return None

    def _pcie(self, counter: int) -> float:
        return KILO * float(self._api.nvmlDeviceGetPcieThroughput(self._handle, counter))

    def _ask(self, call: Callable[[], float | None]) -> Reading[float]:
        try:
            value = call()
        except self._api.NVMLError as error:
            return Reading(None, self._reason(error))
        if value is None:
            return Reading(None, "the driver does not list the process (in a container it cannot)")
        return Reading(value)

    def _reason(self, error: Any) -> str:
        """What an error says.

        Raises:
            Lost: it says that the device is gone.
        """
        if error.value in GONE:
            raise Lost(nvml.reason_of(error)) from error
        return nvml.reason_of(error)

    def _told(self, call: Callable[..., str], *arguments: Any) -> str | None:
        try:
            return call(*arguments)
        except self._api.NVMLError:
            return None


def start(target: Target) -> Probe | None:
    """A probe of the target's GPU; ``None`` where it uses none."""
    if target.gpu_uuid is None:
        return None
    stack = ExitStack()
    try:
        api = stack.enter_context(nvml.session())
    except nvml.Unavailable as error:
        return Missing(str(error))
    try:
        handle = api.nvmlDeviceGetHandleByUUID(target.gpu_uuid)
        mig = target.gpu_uuid.startswith("MIG-") or _split(api, handle)
    except api.NVMLError as error:
        stack.close()
        return Missing(nvml.reason_of(error))
    return Gpu(api, handle, target.pid, mig=mig, stack=stack)


def _split(api: ModuleType, handle: Any) -> bool:
    """Whether a whole GPU is cut into instances (MIG)."""
    try:
        return bool(api.nvmlDeviceGetMigMode(handle)[0])
    except api.NVMLError:
        return False
