"""Tells a lack of memory, or of ability, and a broken clock, from any other error.

Each framework says in its facts how it says that memory ran out. One that cannot do what is asked
raises ``NotImplementedError``.
"""

from __future__ import annotations

from benchmarks import frameworks
from benchmarks.results.records import Status
from benchmarks.worker.clock import ClockError

ANYWHERE = ("MemoryError", "out of memory", "bad_alloc")
"""What says so whatever runs: Python itself, CUDA, and the C++ library."""
HOST_MEMORY_TEXTS = ("defaultcpuallocator", "allocator cpu", "bad_alloc")


def status(error: BaseException, device: str) -> Status:
    """``oom_device``, ``oom_host``, ``unsupported``, ``invalid`` or ``error`` on a ``device``."""
    name, text = type(error).__name__, str(error).lower()
    if isinstance(error, NotImplementedError):
        return "unsupported"
    if isinstance(error, ClockError):
        return "invalid"
    words = {*ANYWHERE, *(w for n in frameworks.names() for w in frameworks.facts(n).out_of_memory)}
    if name not in words and not any(word in text for word in words):
        return "error"
    if name == "MemoryError" or any(t in text for t in HOST_MEMORY_TEXTS):
        return "oom_host"
    return "oom_device" if device != "cpu" or "cuda" in text or "gpu" in text else "oom_host"
