"""The parent's end of the processes that workers are forked from."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.plan import Selection
from benchmarks.process import ROOT, Fork, environment_of
from benchmarks.records import Stack


class Forked:
    """A worker that a zygote forked: what ``Popen`` tells of a child, told by its parent."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.returncode: int | None = None
        self.pid = int(self._told() or -1)
        if self.pid < 0:
            os.close(status)
            raise OSError("the process to fork from is gone")

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status; minus the signal's number where one ended it.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a forked worker", timeout or 0.0)
            told = self._told()
            self.returncode = int(told) if told else -signal.SIGKILL
            os.close(self._status)
        return self.returncode

    def _told(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self._status, 1)
            if not byte:
                return b""
            line += byte
        return line


class Zygote:
    """A process that has imported a framework; see ``benchmarks.zygote``."""

    def __init__(self, stack: Stack, python: str | None = None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [
                    python or sys.executable,
                    "-m",
                    "benchmarks.zygote",
                    stack.framework,
                    str(theirs.fileno()),
                ],
                cwd=ROOT,
                env=environment_of(stack),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._channel = ours
        self._ready = False

    def ready(self, deadline_s: float) -> bool:
        """Wait until its framework is imported; ``False`` where it could not."""
        if not self._ready:
            self._channel.settimeout(deadline_s)
            with suppress(OSError):
                self._ready = self._channel.recv(16) == b"ready"
        return self._ready

    def fork(self, descriptors: tuple[int, int, int], variables: Mapping[str, str]) -> Forked:
        """A new worker on these descriptors: commands, answers and log.

        Raises:
            OSError: the zygote is gone.
        """
        told, status = os.pipe()
        try:
            socket.send_fds(self._channel, [json.dumps(variables).encode()], [*descriptors, status])
        finally:
            os.close(status)
        return Forked(told)

    def close(self) -> None:
        """End it, and with it whatever it forked."""
        self._channel.close()
        self._process.kill()
        self._process.wait()


@dataclass
class Nursery:
    """A zygote for each engine of a run, started before anything is timed."""

    selection: Selection
    zygotes: dict[str, Zygote | None] = field(default_factory=dict)

    def start(self, stacks: Sequence[Stack]) -> None:
        """Begin the imports, which may go on beside whatever is not timed."""
        if self.selection.processes == "fresh":
            return
        for stack in stacks:
            engine = self.selection.engine(stack)
            if engine not in self.zygotes:
                python = self.selection.variant(stack).python
                self.zygotes[engine] = Zygote(stack, python)

    def settle(self) -> None:
        """Wait until every import is done, so that none runs beside a launch."""
        for engine, zygote in self.zygotes.items():
            if zygote and not zygote.ready(self.selection.timeout_s):
                zygote.close()
                self.zygotes[engine] = None

    def fork(self, stack: Stack) -> Fork | None:
        """What forks a worker of a stack; ``None`` where it must be started anew."""
        zygote = self.zygotes.get(self.selection.engine(stack))
        return zygote.fork if zygote else None

    def close(self) -> None:
        """End them all, and with each whatever it forked."""
        for zygote in filter(None, self.zygotes.values()):
            zygote.close()
