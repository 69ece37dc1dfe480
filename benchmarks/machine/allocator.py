"""What the C library does with freed memory: one rule for every stack, because it decides so much.

glibc gives large freed blocks back to the kernel and faults them in again, page by page, in the
next step. How much of a step is affected depends on how the heap happens to lie, so it differs from
launch to launch, and only for a framework that allocates through ``malloc`` in every step. Under
the policies ``matched`` and ``best`` every worker keeps what it has freed; ``defaults`` shows what
happens to a user who sets nothing.

Sources: mallopt(3); ``keeps`` looks at what the kernel counted rather than at what was asked.
"""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from typing import Literal

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = -1
"""As a threshold for trimming: the top of the heap is never given back."""
BLOCK_BYTES = 33 << 20
"""More than the 32 MiB up to which glibc learns to keep blocks by itself."""
TOUCHED = 64
"""Pages of it that are touched: enough to tell, too few to count as memory used."""

Freed = Literal["kept", "given back"]


def keep() -> None:
    """Keep freed memory from here on; without effect where the C library has no such setting."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, NEVER)


def freed_memory() -> Freed | None:
    """What happens to freed memory, tried out; ``None`` where there is no C heap to try."""
    try:
        library = ctypes.CDLL(None)
        library.malloc.restype = ctypes.c_void_p
        library.malloc.argtypes = [ctypes.c_size_t]
        library.free.argtypes = [ctypes.c_void_p]
    except (OSError, AttributeError):
        return None

    def faults() -> int:
        block = library.malloc(BLOCK_BYTES)
        if not block:
            raise MemoryError(f"no {BLOCK_BYTES} bytes to try the heap with")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for offset in range(0, BLOCK_BYTES, BLOCK_BYTES // TOUCHED):
            ctypes.memset(block + offset, 1, 1)
        taken = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        library.free(block)
        return taken

    faults()
    return "kept" if faults() < TOUCHED / 8 else "given back"
