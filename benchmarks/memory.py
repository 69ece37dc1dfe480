"""Tells a lack of memory, or of ability, from any other error.

Each framework has its own way of saying that memory ran out. An adapter that finds its framework
unable to do what is asked raises ``NotImplementedError``.
"""

from __future__ import annotations

from benchmarks.records import Status

OUT_OF_MEMORY = ("OutOfMemoryError", "ResourceExhaustedError", "MemoryError")
OUT_OF_MEMORY_TEXTS = (
    "resource_exhausted",
    "out of memory",
    "can't allocate memory",
    "bad_alloc",
    "alloc_failed",
)
HOST_MEMORY_TEXTS = ("defaultcpuallocator", "allocator cpu", "bad_alloc")


def status(error: BaseException, device: str) -> Status:
    """``oom_device``, ``oom_host``, ``unsupported`` or ``error`` on the worker's ``device``."""
    name, text = type(error).__name__, str(error).lower()
    if isinstance(error, NotImplementedError):
        return "unsupported"
    if name not in OUT_OF_MEMORY and not any(t in text for t in OUT_OF_MEMORY_TEXTS):
        return "error"
    if name == "MemoryError" or any(t in text for t in HOST_MEMORY_TEXTS):
        return "oom_host"
    return "oom_device" if device != "cpu" or "cuda" in text or "gpu" in text else "oom_host"
