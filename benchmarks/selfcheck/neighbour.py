"""A foreign process that keeps one core busy, for measuring what that does to a measurement."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PROGRAM = "while True: pass"
LAUNCHER = """
import os, subprocess, sys
command, quiet = [sys.executable, "-I", "-c", sys.argv[1]], subprocess.DEVNULL
busy = subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)
print(busy.pid, flush=True)
os._exit(0)
"""


@contextmanager
def busy(*, present: bool) -> Iterator[None]:
    """Have the neighbour there for as long as the block lasts, if it is to be present."""
    if not present:
        yield
        return
    # Started by a process that is gone at once, so that nothing takes it for one of ours.
    command = [sys.executable, "-I", "-c", LAUNCHER, PROGRAM]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, timeout=60)
    try:
        yield
    finally:
        os.kill(int(told.stdout), signal.SIGKILL)
