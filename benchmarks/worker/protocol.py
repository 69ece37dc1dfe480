"""How a worker is spoken to: a command a line, an answer a line, and a deadline for each.

Commands come as JSON lines on one file descriptor and answers leave on another, because frameworks
write freely to stdout and stderr.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import random
import signal
import traceback
from contextlib import suppress
from typing import IO, Any, NoReturn, Protocol

from benchmarks.request import discovery
from benchmarks.worker import shortage
from profilers import host

PR_SET_PDEATHSIG = 1


class Servant(Protocol):
    """Has a method for each command, which takes its arguments by keyword and returns a dict."""

    device: str
    """Where it computes, so that a lack of memory can be told whose."""


def serve(worker: Servant, commands: IO[str], answers: IO[str]) -> None:
    """Obey until told to quit or the parent is gone."""
    own = os.getpid()
    for line in commands:
        order = json.loads(line)
        verb, deadline_s = order.pop("do"), order.pop("deadline_s")
        asked = {"to": order.pop("number")} if "number" in order else {}
        if verb == "quit":
            return
        # A thread could not interrupt native code that holds the interpreter lock; this can.
        faulthandler.dump_traceback_later(deadline_s, exit=True)
        told = answer(worker, verb, order)
        faulthandler.cancel_dump_traceback_later()
        if os.getpid() != own:  # a fork that the code of a model made, and that came back here
            os._exit(1)
        answers.write(json.dumps({**told, **asked}) + "\n")
        answers.flush()


def answer(worker: Servant, verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What a worker says to a command: ``ok``, and its answer or what went wrong."""
    try:
        return {"ok": True, **getattr(worker, verb)(**arguments)}
    except Exception as error:
        return {
            "ok": False,
            "status": shortage.status(error, worker.device),
            "reason": f"{type(error).__name__}: {error}".strip().splitlines()[0],
            "peak_rss_bytes": host.peak_rss_bytes().value,
            # Where the checkout lies is nobody's business.
            "stack": traceback.format_exc().replace(f"{discovery.HERE.parent}/", ""),
        }


def die_with_parent() -> None:
    """Have the kernel end this process with its parent, however that dies (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def work(worker: Servant, reading: int, writing: int) -> NoReturn:
    """Serve on two descriptors, and leave."""
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    die_with_parent()
    random.seed()
    with os.fdopen(reading) as commands, os.fdopen(writing, "w") as answers:
        serve(worker, commands, answers)
    os._exit(0)  # an exit hook of a framework must not outlive its last answer
