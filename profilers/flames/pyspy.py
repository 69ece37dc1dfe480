"""py-spy looks into a running worker: stacks of a process that does not know it is watched.

It attaches, because a program that it starts loses its exit code. It does not stop the process at
each sample unless native frames are asked for, which cannot be had otherwise: stopping every
thread of a framework at 100 Hz makes steps many times longer. A recording that fails is a reason,
and costs nothing else.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from profilers.flames import folded

RATE, NATIVE_RATE = 100, 10
"""Samples per second: without and with native frames."""
NATIVE = "native"
"""What the mode of a recording with native frames begins with."""
READY_S = 30.0
"""Finding the interpreter in a process takes a moment, native symbols take some seconds."""
WRITE_S = 30.0
PR_SET_PTRACER = 0x59616D61
"""prctl(2); Yama's, see Documentation/admin-guide/LSM/Yama.rst."""

_FOUND_NOTHING = "No stack counts found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How to look: ``rate`` per second; ``native`` frames cost a stop of every thread each time.

    ``cap_s`` is the wall-clock time after which it is ended whatever it does. ``command`` is
    py-spy, that of this environment unless given.
    """

    rate: int = RATE
    native: bool = False
    cap_s: float = 120.0
    command: tuple[str, ...] | None = None

    @property
    def mode(self) -> str:
        """In words, for a record."""
        kind = f"{NATIVE}, stopping all threads" if self.native else "without stopping"
        return f"{kind}, {self.rate} Hz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Raw stacks of all threads, those that wait included; or ``None`` with the reason.

    ``unreadable`` counts the samples of which py-spy wrote no frames.
    """

    stacks: dict[folded.Stack, int] | None
    reason: str | None = None
    unreadable: int = 0


@dataclass
class Recorder:
    """A py-spy that watches a process for as long as the block lasts.

    ``started`` says on entry whether it does; ``recording`` holds what it saw once the block is
    left.
    """

    pid: int
    how: Watching = field(default_factory=Watching)
    recording: Recording = Recording(stacks=None, reason="still recording")

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="twinbench-")
        self._written = Path(self._folder.name) / "stacks"
        self._said = b""
        self._process = self._start()
        self._timer = threading.Timer(self.how.cap_s, self._interrupt)
        self._timer.daemon = True
        self._timer.start()
        if self._process:
            self._await_ready(self._process)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._process:
                self.recording = self._finish(self._process)
        finally:
            self._timer.cancel()
            self._folder.cleanup()

    @property
    def started(self) -> bool:
        """Whether it is watching."""
        return self._process is not None and self._process.poll() is None

    def _start(self) -> subprocess.Popen[bytes] | None:
        command = self.how.command or find()
        if not command:
            self.recording = Recording(stacks=None, reason="py-spy is not installed")
            return None
        try:
            return subprocess.Popen(
                [*command, *arguments(self.pid, self._written, self.how)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,  # what is read ahead would be lost to ``communicate``
                start_new_session=True,  # an interrupt at the terminal is for the parent
                preexec_fn=_interruptible,  # noqa: PLW1509 - it calls nothing that takes a lock
            )
        except OSError as error:
            reason = f"py-spy cannot be started: {error.strerror or error}"
            self.recording = Recording(stacks=None, reason=reason)
            return None

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        """It says so once it has found the interpreter; until then it sees nothing."""
        if process.stdout and select.select([process.stdout], [], [], READY_S)[0]:
            self._said = process.stdout.readline()
            # One that has no more to say is ending, too: an interrupt would hide its exit code.
            if not self._said or _is_error(self._said.decode("utf-8", "replace")):
                with suppress(subprocess.TimeoutExpired):
                    process.wait(WRITE_S)

    def _interrupt(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def _finish(self, process: subprocess.Popen[bytes]) -> Recording:
        self._interrupt()
        try:
            rest = process.communicate(timeout=WRITE_S)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            # One that is killed while it holds the process leaves it stopped.
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)
            return Recording(stacks=None, reason=f"py-spy did not end within {WRITE_S:g} s")
        said = (self._said + rest).decode("utf-8", "replace")
        if process.returncode:
            return Recording(stacks=None, reason=why(said, process.returncode))
        try:
            written = self._written.read_text("utf-8", "replace")
        except OSError as error:
            return Recording(stacks=None, reason=f"py-spy wrote no stacks: {error}")
        stacks, unreadable = folded.readable(written)
        lost = sum(unreadable.values())
        if lost and not stacks:
            reason = f"py-spy wrote no stacks: {lost} unreadable samples"
            return Recording(stacks=None, reason=reason, unreadable=lost)
        return Recording(stacks=stacks, unreadable=lost)


def _interruptible() -> None:
    """Let an interrupt end the process, though a job in the background ignores it, and so it would.

    What is ignored stays ignored in a child.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def find() -> tuple[str, ...] | None:
    """py-spy of this environment, and no other that a path may lead to; ``None`` without it."""
    folders = (Path(sys.executable).parent, Path(sysconfig.get_path("scripts")))
    there = (str(folder / "py-spy") for folder in folders if (folder / "py-spy").is_file())
    return next(((found,) for found in there), None)


def arguments(pid: int, written: Path, how: Watching) -> list[str]:
    """What py-spy is told: record until interrupted, waiting threads included.

    Threads that wait count because a framework's Python thread mostly does: it waits for an
    executor of its own, and without them a flame graph would show a tenth of an iteration.
    """
    kind = ["--native"] if how.native else ["--nonblocking"]
    return [
        "record",
        *("--pid", str(pid), "--rate", str(how.rate), "--format", "raw"),
        *("--output", str(written), "--idle", "--full-filenames", "--nolineno"),
        *kind,
    ]


def allow(pid: int) -> None:
    """Let a process of this user and its children look into this one; 0: none any more.

    Where the kernel restricts that to ancestors (Yama), a sibling such as py-spy is refused
    otherwise. Without Yama it does nothing.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, pid, 0, 0, 0)


def why(said: str, code: int) -> str:
    """The reason in what py-spy said before it failed: one line, without its stack."""
    text = said.partition("Stack backtrace:")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if _is_error(line)]
    lower = text.lower()
    if "permission denied" in lower or "operation not permitted" in lower:
        return "py-spy may not look into the worker (it needs ptrace: root or SYS_PTRACE)"
    if "process is running" in lower or "no such process" in lower or _FOUND_NOTHING in text:
        return "py-spy found no such process: the worker is gone"
    if errors:
        return f"py-spy failed: {errors[0].removeprefix('Error:').strip()}"
    return f"py-spy failed (exit {code})" + (f": {lines[-1]}" if lines else "")


def _is_error(line: str) -> bool:
    return line.lower().startswith(("error", "permission denied"))
