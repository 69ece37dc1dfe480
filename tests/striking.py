"""Faults in the forward pass of a real framework, where one is timed and not where it is proven.

``TWINBENCH_STRIKE`` says which: ``torch:segv``. What is named here runs in a worker.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

VARIABLE = "TWINBENCH_STRIKE"
FOREVER_S = 3600
ROOM, TAKEN = 256 << 20, 1 << 28
"""Bytes that a process may still take, and numbers of four bytes that it then asks for."""


def _leave_room() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _fail() -> None:
    raise RuntimeError("CUDA error: device-side assert triggered")


FAULTS: Mapping[str, Callable[[], object]] = {
    "segv": lambda: ctypes.string_at(0),
    "error": _fail,
    "hang": lambda: time.sleep(FOREVER_S),
    "hang_native": lambda: ctypes.PyDLL(None).sleep(FOREVER_S),
    "memory": _leave_room,
}


def strike(framework: str, allocate: Callable[[int], object]) -> None:
    """Fail where that is asked of this framework; ``allocate`` makes so many numbers of it."""
    asked, _, fault = os.environ.get(VARIABLE, "").partition(":")
    spec = sys.modules["__main__"].__spec__
    if asked == framework and spec and spec.name.startswith("benchmarks.worker"):
        FAULTS[fault]()
        if fault == "memory":
            allocate(TAKEN)
