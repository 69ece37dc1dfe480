"""A process that has imported a framework and run nothing: its forks are workers without the wait.

Importing a framework takes seconds and tells nothing about it, yet a launch is worth having only in
a process of its own. A fork of a process that has no thread pool, no device and no compiled code is
one; what it inherits is the address-space layout, and the hash seed of its strings. A worker shifts
its heap by a random amount, which is what can be drawn anew.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress

from benchmarks import frameworks, serving
from benchmarks.worker import Worker

MESSAGE_BYTES = 1 << 16
DESCRIPTORS = 4
"""Commands, answers, log and status, in this order."""
HEAP_BYTES = 1 << 16


def main() -> None:
    """Import a framework, then fork a worker for each request until the socket ends."""
    framework, channel = sys.argv[1], socket.socket(fileno=int(sys.argv[2]))
    serving.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    facts = frameworks.facts(framework)
    for module in (*facts.packages, *facts.late):
        importlib.import_module(module)
    with suppress(ModuleNotFoundError):  # it is not in every environment
        importlib.import_module("sklearn.datasets")
    channel.send(b"ready")
    children: dict[int, tuple[int, int]] = {}  # pidfd: (pid, where its end is told)
    while True:
        ready, _, _ = select.select([channel.fileno(), *children], [], [])
        for ended in children.keys() & set(ready):
            _tell_end(ended, *children.pop(ended))
        if channel.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, DESCRIPTORS)
            if not message:
                return
            _fork(json.loads(message), descriptors, channel, children)


def _fork(
    variables: dict[str, str],
    descriptors: list[int],
    channel: socket.socket,
    children: dict[int, tuple[int, int]],
) -> None:
    commands, answers, log, status = descriptors
    pid = os.fork()
    if pid:
        for descriptor in (commands, answers, log):
            os.close(descriptor)
        children[os.pidfd_open(pid)] = (pid, status)
        os.write(status, f"{pid}\n".encode())
        return
    channel.close()
    for ended, (_, told) in children.items():
        os.close(ended)
        os.close(told)
    os.close(status)
    os.setsid()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(variables)
    random.seed()
    _shift = ctypes.create_string_buffer(random.randrange(1, HEAP_BYTES))  # noqa: S311 - no secret
    try:
        serving.work(Worker(), commands, answers)
    except BaseException:  # it must not go on as a second zygote
        traceback.print_exc()
        os._exit(1)


def _tell_end(ended: int, pid: int, status: int) -> None:
    os.close(ended)
    _, code = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):
        os.write(status, f"{os.waitstatus_to_exitcode(code)}\n".encode())
    os.close(status)


if __name__ == "__main__":
    main()
