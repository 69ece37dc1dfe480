"""Delays instead of a device, and the faults that can be asked for."""

from __future__ import annotations

import ctypes
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.frameworks.contracts import Array, Placed, Settings
from benchmarks.tasks.task import Batch, Task
from benchmarks.worker import clock

CONTROL = "TWINBENCH_NULL"
DELAY_S = 0.002
sleep = time.sleep
"""What a delay is made of; tests of a fake machine put another in its place."""
FOREVER_S = 3600
FLOOD_MIB = 200


def _fill_stdout() -> None:
    sys.stdout.buffer.write(b"\x1b[31mnoise\xff\n" * 100_000)
    sys.stdout.flush()


def _fail() -> None:
    raise RuntimeError("the null framework was told to fail")


def _run_out() -> None:
    raise MemoryError("the null framework was told to run out of memory")


def _hit_limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + (256 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    bytearray(1 << 30)


class OutOfMemoryError(RuntimeError):
    """As PyTorch's is called."""


class ResourceExhaustedError(RuntimeError):
    """As TensorFlow's is called."""


def _fill_device() -> None:
    raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def _exhaust() -> None:
    raise ResourceExhaustedError("OOM when allocating a tensor on /device:GPU:0 by GPU_0_bfc")


def _break_device() -> None:
    raise RuntimeError("CUDA error: device-side assert triggered")


def _flood() -> None:
    for _ in range(FLOOD_MIB):
        sys.stdout.buffer.write(b"\x1b[2Jnoise\xff\n" * ((1 << 20) // 11))
    sys.stdout.flush()


def _stop_clock() -> None:
    warm_up = clock.warm_up
    clock.warm_up = lambda run, wait, _now, **more: warm_up(run, wait, lambda: 1.0, **more)


FAULTS: Mapping[str, Callable[[], object]] = {
    "segv": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "leave": lambda: os._exit(0),
    "hang": lambda: time.sleep(FOREVER_S),
    # A call through PyDLL keeps the interpreter lock: no Python thread can interrupt it.
    "hang_native": lambda: ctypes.PyDLL(None).sleep(FOREVER_S),
    "error": _fail,
    "memory": _run_out,
    "limit": _hit_limit,
    "oom_device": _fill_device,
    "exhausted": _exhaust,
    "sticky": _break_device,
    "noise": _fill_stdout,
    "flood": _flood,
    "clock": _stop_clock,
    "nan": lambda: None,
    "wrong": lambda: None,
}


class Device:
    """Waits instead of computing."""

    def __init__(self, settings: Settings) -> None:
        self.asked = settings
        control = json.loads(os.environ.get(CONTROL, "{}")) if settings.mode == "b" else {}
        self.delay_s = DELAY_S * control.get("slow", 1.0)
        if settings.threads == 1:
            self.delay_s *= control.get("alone", 1.0)
        self.loss_delays = control.get("loss", 1)
        self.retraces, self.worked = bool(control.get("retraces")), 0
        self.fault, self._at = control.get("fault"), control.get("at", "forward")
        self._stuck = False

    @property
    def wrong(self) -> float:
        """What results are multiplied by: 1.5 where wrong ones are asked for."""
        return 1.5 if self.fault == "wrong" else 1.0

    def place(self, batch: Batch, task: Task) -> Placed:
        """The batch as it is."""
        del task
        return Placed(tuple(batch.inputs.values()), tuple(batch.targets.values()))

    def batches(self, x: Array, y: Array, *, size: int, scale: float) -> Iterable[Placed]:
        """One delay per batch."""
        del scale
        return _Batches(self, x, y, size)

    def synchronize(self) -> None:
        """Nothing runs elsewhere."""

    def peak_memory(self) -> int | None:
        """No device; no number where that is asked."""
        return cast("int | None", math.nan if self.fault == "nan" else None)

    def ceiling_work(self, size: int, copied: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """A product of NumPy's and a copy, each with a delay."""
        a = np.ones((size, size), dtype=np.float32)
        out, source = np.empty_like(a), np.ones(copied, dtype=np.float32)
        target = np.empty_like(source)

        def product() -> None:
            np.matmul(a, a, out=out)
            sleep(self.delay_s)

        def copy() -> None:
            np.copyto(target, source)
            sleep(self.delay_s)

        return product, copy

    def settings(self) -> dict[str, Any]:
        """What was asked."""
        return {"threads": self.asked.threads, "precision": self.asked.precision}

    def work(self, method: str, delays: float = 1) -> None:
        """Wait, or fail where that is asked of this method."""
        self.strike(method)
        self.worked += 1
        sleep(delays * self.delay_s)

    def strike(self, method: str) -> None:
        """Fail where that is asked of this method; a device that broke fails from then on."""
        if self.fault and (method == self._at or self._stuck):
            self._stuck = self.fault == "sticky"
            FAULTS[self.fault]()


@dataclass(frozen=True, slots=True)
class _Batches:
    """Batches in order; every pass starts anew, where a generator would end for ever."""

    device: Device
    x: Array
    y: Array
    size: int

    def __iter__(self) -> Iterator[Placed]:
        for start in range(0, len(self.y) - self.size + 1, self.size):
            self.device.work("loader")
            part = slice(start, start + self.size)
            yield Placed((self.x[part],), (self.y[part],))
