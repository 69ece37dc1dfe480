"""The resident memory of a process over time, and its end before the machine begins to swap.

A limit on the address space would refuse a framework that reserves much and uses little of it, and
at a limit on private memory PyTorch reports an error but TensorFlow dies of SIGSEGV. So what is
really resident is read a few times a second, and the process is ended where that is over
the limit: memory is written at some GB/s, so what it takes between two looks is less than what a
sensible limit leaves free.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from profilers import host

HZ = 50
"""Looks per second: 25 µs each, and no step is timed beside them that a verdict rests on."""


@dataclass
class Watcher:
    """Watches a process group's leader between ``start`` and ``stop``.

    Args:
        pid: the process; where ``limit_bytes`` is given, the whole group of that number is ended
            when it holds more.
        limit_bytes: bytes that may be resident, or ``None``.
    """

    pid: int
    limit_bytes: int | None = None
    proc: Path = host.PROC
    timeline: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since ``start``, and bytes resident; one entry for each change."""
    over: bool = False
    """Whether it was ended."""

    def start(self) -> Self:
        """Begin to watch."""
        self._done = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Watch no longer; what was seen stays."""
        self._done.set()
        self._thread.join()

    @property
    def peak_bytes(self) -> int | None:
        """The most that was seen; ``None`` where nothing was."""
        return max((held for _, held in self.timeline), default=None)

    def seconds(self) -> float:
        """Since ``start``, for marks beside the timeline."""
        return time.monotonic() - self._began

    def _watch(self) -> None:
        while not self._done.is_set():
            held = host.rss_bytes(self.pid, self.proc).value
            if held is None:
                return  # it has ended
            if not self.timeline or self.timeline[-1][1] != held:
                self.timeline.append((self.seconds(), held))
            if self.limit_bytes is not None and held > self.limit_bytes:
                self.over = True
                with suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                return
            self._done.wait(1 / HZ)


def forbid_more(pid: int, data_bytes: int) -> bool:
    """Let a process have no more private writable memory than this; whether the kernel took it.

    The second guard (RLIMIT_DATA, setrlimit(2)), for one request that is larger than the machine:
    it fails at once, where the watcher would come late.
    """
    try:
        resource.prlimit(pid, resource.RLIMIT_DATA, (data_bytes, data_bytes))
    except (OSError, ValueError):
        return False
    return True
