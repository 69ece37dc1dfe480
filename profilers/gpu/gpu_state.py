"""What may disturb a GPU while a turn is timed: throttling, a sagging clock, another process.

Reasons for a lower clock are those that come from outside of the work: heat and the power brake.
The cap on power is no such reason, because heavy work reaches it by itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any, Self

from profilers.gpu import nvml
from profilers.host import Reading

EXTERNAL = (0x08, 0x20, 0x40, 0x80)
"""Those of NVML's clock events that come from outside: slowdowns by hardware, heat, power brake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One look at the device; ``None`` where NVML does not tell."""

    sm_clock_mhz: int | None
    reasons: tuple[str, ...]
    pids: tuple[int, ...] | None

    def foreign(self, ours: Iterable[int]) -> int | None:
        """Processes on the device that are not ours.

        ``None`` where none of ours is listed either: in a container NVML gives the numbers that
        processes have outside of it, or none.
        """
        own = set(ours)
        if self.pids is None or not own & set(self.pids):
            return None
        return len(set(self.pids) - own)


class Reader:
    """An open NVML session on the first visible device, if there is one."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._nvml: ModuleType | None = None
        self._handle: Any = None

    def __enter__(self) -> Self:
        try:
            self._nvml = self._stack.enter_context(nvml.session())
            self._handle = _first(self._nvml)
        except nvml.Unavailable:
            self._nvml = None
        except Exception as error:
            if self._nvml is None or not isinstance(error, self._nvml.NVMLError):
                raise
            self._nvml = None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def state(self) -> State | None:
        """The device at this moment; ``None`` where there is none."""
        if self._nvml is None:
            return None
        api, handle = self._nvml, self._handle
        bits = _ask(api, api.nvmlDeviceGetCurrentClocksEventReasons, handle) or 0
        processes = _ask(api, api.nvmlDeviceGetComputeRunningProcesses_v3, handle)
        return State(
            sm_clock_mhz=_ask(api, api.nvmlDeviceGetClockInfo, handle, api.NVML_CLOCK_SM),
            reasons=tuple(nvml.CLOCK_EVENTS[bit] for bit in EXTERNAL if bits & bit),
            pids=None if processes is None else tuple(p.pid for p in processes),
        )


def visible_uuid() -> Reading[str]:
    """The UUID of the device that CUDA calls 0, or why it cannot be had."""
    try:
        with nvml.session() as api:
            try:
                return Reading(str(api.nvmlDeviceGetUUID(_first(api))))
            except api.NVMLError as error:  # it is there, and does not answer any more
                return Reading(None, str(error))
    except nvml.Unavailable as error:
        return Reading(None, str(error))


def _ask(api: ModuleType, call: Any, *arguments: Any) -> Any:
    """What NVML answers; ``None`` where it refuses."""
    try:
        return call(*arguments)
    except api.NVMLError:
        return None


def _first(api: ModuleType) -> Any:
    """The device that CUDA calls 0: the first of ``CUDA_VISIBLE_DEVICES``, by number or UUID."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip()
    if first.startswith(("GPU-", "MIG-")):
        return api.nvmlDeviceGetHandleByUUID(first)
    return api.nvmlDeviceGetHandleByIndex(int(first) if first.isdecimal() else 0)
