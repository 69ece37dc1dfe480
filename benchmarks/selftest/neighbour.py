"""A foreign process that keeps one core busy, for measuring what that does to a measurement."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PROGRAM = "while True: pass"


@contextmanager
def busy(*, present: bool) -> Iterator[None]:
    """Have the neighbour there for as long as the block lasts, if it is to be present."""
    if not present:
        yield
        return
    # In a session of its own, so that nothing takes it for one of ours.
    with subprocess.Popen([sys.executable, "-I", "-c", PROGRAM], start_new_session=True) as process:
        try:
            yield
        finally:
            process.kill()
