"""What a signal does to a command: the first lets it end in order, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from benchmarks.results.records import Exit
from benchmarks.worker import process

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TOLD = b"\ntwinbench: asked twice to end: ended at once; what was finished is in the journal\n"


@contextmanager
def taken() -> Iterator[None]:
    """Within it a signal that asks to end raises ``KeyboardInterrupt``, which keeps what is done.

    The second one kills every process that was started, and this one. What the journal holds is
    whole then, as after any kill. A signal that is ignored stays so (``nohup``, a job in the
    background). Elsewhere than in the main thread, where no signal arrives, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def ask(_number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            end_at_once()
        asked = True
        raise KeyboardInterrupt

    kept = {signal.SIG_IGN, None}  # ignored, or not of Python
    numbers = [number for number in SIGNALS if signal.getsignal(number) not in kept]
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_at_once() -> None:
    """Kill all that was started from here, and leave; it does not return."""
    for group in tuple(process.GROUPS):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    with suppress(OSError):
        os.write(2, TOLD)
    os._exit(Exit.INTERRUPTED)
