"""The parent's end of a worker: start it, ask it, and know how it died."""

from __future__ import annotations

import json
import os
import random
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import frameworks
from benchmarks.machine import scratch, variables
from benchmarks.machine.environment import ROOT
from benchmarks.request.reading import signal_name
from benchmarks.results.records import Failure, Stack, Status
from benchmarks.results.stored.codec import from_json
from profilers import host

WORKER = "benchmarks.worker"
GRACE_S = 5.0
"""What a worker gets beyond its own deadline to write its stack, before its group is killed."""
LOG_BYTES = 1 << 16
"""What is kept of what a worker writes: the end of it."""
READ_BYTES = 1 << 16
ANSWER_BYTES = 256 << 20
"""What an answer may take at most: a recording of many steps takes a tenth of it."""
TAIL_CHARACTERS = 4000
NEAR = 0.9
"""Share of the memory that there is from which on a kill is put down to a lack of it."""
GROUPS: set[int] = set()
"""The process groups of the workers that are alive."""


class WorkerError(Exception):
    """A worker failed: what became of it, why, and all that it left behind.

    ``side`` names it where it was one of several that were asked at the same time.
    """

    def __init__(self, status: Status, reason: str, failure: Failure) -> None:
        super().__init__(reason)
        self.status, self.reason, self.failure = status, reason, failure
        self.side: str | None = None


class Log:
    """The end of what a process writes, taken in as it is written: no file grows with it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        self._stream, self._lock = process.stdout, threading.Lock()
        self._kept, self._open = b"", True
        os.set_blocking(self._stream.fileno(), False)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def last(self) -> bytes:
        """At most ``LOG_BYTES`` that it wrote last; all that it has written by now counts."""
        with self._lock:
            self._take()
            return self._kept

    def close(self) -> None:
        """Take in the rest, of a process that has ended, and no more."""
        with self._lock:
            self._take()
            self._open = False

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._stream.fileno(), select.POLLIN)
        while self._open:
            poll.poll()
            with self._lock:
                self._take()
        self._stream.close()

    def _take(self) -> None:
        """Read all that is there; the lock is held."""
        while self._open:
            try:
                received = os.read(self._stream.fileno(), READ_BYTES)
            except BlockingIOError:
                return
            self._open = bool(received)
            self._kept = (self._kept + received)[-LOG_BYTES:]


class WorkerProcess:
    """A worker in a process group of its own.

    ``cache`` is the folder of its compiler's cache (by default a new one that goes with it),
    ``python`` the interpreter where it is another than ours, ``more`` is set beside what its stack
    needs, ``passed`` are names of variables that it gets of ours beside the usual ones. Every
    question blocks until it is answered: a parent that polled would take a core from what is timed.
    """

    def __init__(
        self,
        stack: Stack,
        cache: Path | None = None,
        python: str | None = None,
        more: Mapping[str, str] | None = None,
        program: str = WORKER,
        passed: Sequence[str] = (),
    ) -> None:
        self.stack, self._program = stack, program
        self._more, self._passed = dict(more or {}), tuple(passed)
        self._own = scratch.Folder("worker")
        self._kills_before = host.oom_kills().value
        reading, give = os.pipe()
        take, writing = os.pipe()
        self.spawned = time.perf_counter()
        try:
            self._process = self._spawn(reading, writing, cache or self._own.path, python)
        except BaseException:
            self._own.close()
            raise
        finally:
            os.close(reading)
            os.close(writing)
        GROUPS.add(self._process.pid)
        self._log = Log(self._process)
        os.set_blocking(give, False)  # a worker that does not read must not hold us up
        self._give, self._take, self._buffer = give, take, bytearray()
        self._asked = 0
        self._ending = threading.RLock()  # an interrupt ends it while another thread may, too

    def _spawn(
        self, reading: int, writing: int, cache: Path, python: str | None
    ) -> subprocess.Popen[bytes]:
        drawn = _drawn(self.stack, cache)
        return subprocess.Popen(
            [python or sys.executable, "-m", self._program, str(reading), str(writing)],
            cwd=ROOT,
            env=environment_of(self.stack, self._more, self._passed)
            | drawn
            | {"TMPDIR": str(self._own.path)},
            pass_fds=(reading, writing),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt at the terminal is for the parent
        )

    @property
    def pid(self) -> int:
        """The process id, which is also its group."""
        return self._process.pid

    def ask(self, verb: str, *, deadline_s: float, **arguments: Any) -> dict[str, Any]:
        """Send one command and wait for its answer.

        Raises:
            WorkerError: it reported an error, died, or did not answer within the deadline.
        """
        self._asked += 1
        order = {"do": verb, "number": self._asked, "deadline_s": deadline_s, **arguments}
        until = time.monotonic() + deadline_s + GRACE_S
        try:
            taken = self._hand_over((json.dumps(order) + "\n").encode(), until)
            line = self._line(until) if taken else None
        except OSError:  # the pipe is closed: the worker is gone
            line = b""
        if line is None:
            self.kill()
            raise self._failed("timeout", f"no answer to {verb!r} within {deadline_s:g} s")
        if not line:
            raise self._died(verb, deadline_s)
        try:
            answer = parsed(line, self._asked)
        except ValueError as error:
            self.kill()
            told = f"what came as the answer to {verb!r} is none: {error}"
            raise self._failed("error", told) from None
        if not answer.pop("ok"):
            failure = Failure(
                stack=self._withheld(answer["stack"]),
                stderr=self._tail(),
                peak_rss_bytes=answer.get("peak_rss_bytes"),
            )
            raise WorkerError(answer["status"], self._withheld(answer["reason"]), failure)
        return answer

    def quit(self) -> str | None:
        """Let it end by itself, and see that nothing of its group is left.

        Where it did not end in order: how, in words, of a worker that was well until then.
        """
        told = None
        order = json.dumps({"do": "quit", "deadline_s": GRACE_S}) + "\n"
        try:
            os.write(self._give, order.encode())
        except OSError:  # it is gone, and its exit code says how
            pass
        try:
            if code := self._process.wait(GRACE_S):
                how = f"died of {signal_name(-code)}" if code < 0 else f"left (exit {code})"
                told = f"the worker {how} after its last answer"
        except subprocess.TimeoutExpired:
            told = f"the worker did not end within {GRACE_S:g} s of its last answer: it was killed"
        self.kill()
        return told

    def kill(self) -> None:
        """End the whole group now; harmless when it has ended already."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        GROUPS.discard(self._process.pid)
        with self._ending:
            if self._give >= 0:
                self._log.close()
                self._own.close()
                os.close(self._give)
                os.close(self._take)
                self._give = self._take = -1

    def _hand_over(self, data: bytes, until: float) -> bool:
        """Write to the pipe; not all of it where the worker does not read before time is up."""
        while data:
            left = until - time.monotonic()
            if left <= 0 or not select.select([], [self._give], [], left)[1]:
                return False
            data = data[os.write(self._give, data) :]
        return True

    def _line(self, until: float) -> bytes | None:
        """The next line; empty at the end of the pipe, ``None`` when time is up.

        In the place of one that does not end within ``ANSWER_BYTES``: words that are no answer.
        """
        while b"\n" not in self._buffer[-READ_BYTES:]:
            if len(self._buffer) > ANSWER_BYTES:
                return b"(too long)"
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._take], [], [], left)[0]:
                return None
            received = os.read(self._take, READ_BYTES)
            if not received:
                return b""
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        return bytes(line)

    def _died(self, verb: str, deadline_s: float) -> WorkerError:
        ended = self._ends()
        peak = self._reaped() if ended else None
        self.kill()
        code, tail = self._process.returncode, self._tail()
        if not ended:
            told = f"the worker closed the pipe for its answer to {verb!r}, and went on"
            return self._failed("error", told)
        if "Timeout (" in tail and code == 1:  # what faulthandler writes before it exits
            return self._failed("timeout", f"{verb!r} took longer than {deadline_s:g} s", peak)
        if code >= 0:
            left = f"the worker left without an answer to {verb!r} (exit {code})"
            return self._failed("error", left, peak)
        name = signal_name(-code)
        if name == "SIGKILL" and self._for_memory(peak):
            killed = "the kernel killed the worker: the machine ran out of memory"
            return self._failed("oom_host", killed, peak)
        return self._failed("crash", f"the worker died of {name} during {verb!r}", peak)

    def _ends(self) -> bool:
        """Whether it ends within ``GRACE_S``; its exit code is not taken."""
        until, how = time.monotonic() + GRACE_S, os.WEXITED | os.WNOWAIT | os.WNOHANG
        try:
            while os.waitid(os.P_PID, self.pid, how) is None:
                if time.monotonic() > until:
                    return False
                time.sleep(0.01)
        except ChildProcessError:  # another thread has taken it
            pass
        return True

    def _reaped(self) -> int | None:
        """Wait for its end; the most memory that it held, in bytes, where the kernel says so.

        A process inherits the peak of the one that starts it: what is no more than ours says
        nothing.
        """
        try:
            _, status, usage = os.wait4(self._process.pid, 0)
        except ChildProcessError:  # another thread was faster
            return None
        self._process.returncode = os.waitstatus_to_exitcode(status)
        ours = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_maxrss * host.KIB if usage.ru_maxrss > ours.ru_maxrss else None

    def _for_memory(self, peak: int | None) -> bool:
        """Whether a kill was the kernel's for lack of memory.

        Its counter rose while the worker lived, or it held nearly all the memory that there is.
        """
        kills, there = host.oom_kills().value, host.memory_limit_bytes().value
        rose = kills is not None and kills > (self._kills_before or 0)
        return rose or bool(peak and there and peak >= NEAR * there)

    def _failed(self, status: Status, reason: str, peak: int | None = None) -> WorkerError:
        code = self._process.returncode
        tail = self._tail()
        failure = Failure(
            signal=signal_name(-code) if code is not None and code < 0 else None,
            exit_code=code,
            stack=tail if "most recent call first" in tail else "",
            stderr=tail,
            peak_rss_bytes=peak,
        )
        return WorkerError(status, reason, failure)

    def _tail(self) -> str:
        last = self._log.last()
        # One line of faulthandler names every extension module there is, and nothing of use.
        lines = last.decode("utf-8", "replace").splitlines(keepends=True)
        kept = "".join(line for line in lines if not line.startswith("Extension modules: "))
        return self._withheld(kept)[-TAIL_CHARACTERS:]

    def _withheld(self, text: str) -> str:
        """The text without the values of variables that a user passed on: they may be secret."""
        for name in self._passed:
            if value := os.environ.get(name):
                text = text.replace(value, f"${name}")
        return text


@dataclass(frozen=True, slots=True)
class _Refused:
    """What an answer holds beside ``ok`` where something failed."""

    status: Status
    reason: str
    stack: str
    peak_rss_bytes: int | None = None


def parsed(line: bytes, number: int | None = None) -> dict[str, Any]:
    """The answer to the question of a number: ``ok``, and what belongs to it.

    Raises:
        ValueError: it is none. What runs in a worker may write where its answers are written.
    """
    try:
        answer = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(answer, dict) or answer.pop("to", None) != number:
        raise ValueError("it does not say what it answers")
    if answer.get("ok") is not True:
        from_json(_Refused, answer)
        answer["ok"] = False
    return answer


Start = Callable[..., WorkerProcess]
"""Starts a worker of a stack, with what ``WorkerProcess`` takes."""


def environment_of(
    stack: Stack, more: Mapping[str, str] | None = None, passed: Sequence[str] = ()
) -> dict[str, str]:
    """What must stand before the interpreter starts; ``more`` adds to flags that stand already.

    ``passed`` are names of variables of ours that it gets beside those that every worker does.
    """
    environment = variables.passed_on(passed) | dict(frameworks.facts(stack.framework).env)
    for name, value in (more or {}).items():
        flags = environment.get(name) if name.endswith("_FLAGS") else None
        environment[name] = f"{flags} {value}" if flags else value
    # CUDA counts the fastest GPU first unless told otherwise, and NVML by place on the bus: what
    # watches a GPU must find the one that works.
    environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    environment["PYTHONPATH"] = str(ROOT)
    environment["PYTHONHASHSEED"] = "random"
    environment["PYTHONWARNINGS"] = "ignore"
    return environment


def _drawn(stack: Stack, cache: Path) -> dict[str, str]:
    """What is each worker's own."""
    # Layout effects of the environment's size are real and must vary between launches, not within
    # a comparison (Mytkowicz et al. 2009).
    drawn = {"TWINBENCH_PADDING": "x" * random.randrange(4096)}  # noqa: S311 - not for secrets
    names = frameworks.facts(stack.framework).cache_env
    return drawn | {name: str(cache / name.lower()) for name in names}
