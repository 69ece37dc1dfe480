"""Reads the TASK of a user's model in a process of its own: the parent imports no code of others.

``python -m benchmarks.request.reading NAME MODELS_DIR DESCRIPTOR`` is that process. It answers with
one JSON document on the descriptor: ``task``, or a ``reason``.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import variables
from benchmarks.machine.environment import ROOT
from benchmarks.results.records import Status

PATIENCE_S = 60.0
"""How long an import may take; one that takes a framework along takes some seconds."""
LONGEST = 1 << 20
"""Bytes of an answer."""


class ReadingError(Exception):
    """A model could not be imported: what became of its process, and why in one line."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status: Status = status


def read(name: str, models_dir: Path, passed: Sequence[str] = ()) -> Any:
    """The TASK of a model in a user's folder, as ``tasks.plain`` tells it.

    Args:
        name: the model.
        models_dir: the folder that holds its folder.
        passed: names of variables that it gets of ours beside the usual ones.

    Raises:
        ReadingError: it holds none, or its import failed, crashed or took too long.
    """
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, name, str(models_dir.resolve()), str(writing)],
            cwd=ROOT,
            env=variables.passed_on(passed) | {"PYTHONPATH": str(ROOT)},
            pass_fds=(writing,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    finally:
        os.close(writing)
    try:
        text = _answer(reading, time.monotonic() + PATIENCE_S)
        code = None if text is None else process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        os.close(reading)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
    return _told(text, code)


def signal_name(number: int) -> str:
    """``SIGSEGV``; of a real-time signal, which has no name, its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _answer(reading: int, until: float) -> bytes | None:
    """What was written until the other end was closed; ``None`` when time is up."""
    text = b""
    while len(text) <= LONGEST:
        if not select.select([reading], [], [], max(0.0, until - time.monotonic()))[0]:
            return None
        received = os.read(reading, 1 << 16)
        if not received:
            break
        text += received
    return text


def _told(text: bytes | None, code: int | None) -> Any:
    if text is None or code is None:
        raise ReadingError("timeout", f"its import took longer than {PATIENCE_S:g} s")
    if code < 0:
        raise ReadingError("crash", f"its import died of {signal_name(-code)}")
    try:
        found = json.loads(text)
        if found.get("task") is not None:
            return found["task"]
        reason = " ".join(str(found["reason"]).split())
    except (ValueError, LookupError, AttributeError, RecursionError):
        reason = f"its import ended without an answer (exit {code})"
    raise ReadingError("error", reason)


def main(name: str, models_dir: str, writing: str) -> None:
    """Import a model and tell its TASK."""
    from benchmarks.request import discovery
    from benchmarks.tasks import plain
    from benchmarks.tasks.task import TaskError

    signal.alarm(2 * round(PATIENCE_S))  # a parent that was killed ends it no more
    told: dict[str, Any]
    try:
        told = {"task": plain.of(discovery.imported(name, Path(models_dir)))}
    except (discovery.BadModelError, ValueError) as error:
        plainly = isinstance(error, discovery.BadModelError | TaskError)
        told = {"reason": str(error) if plainly else f"{type(error).__name__}: {error}"}
    except Exception as error:
        told = {"reason": f"{type(error).__name__}: {error}"}
    with os.fdopen(int(writing), "w") as answer:
        json.dump(told, answer)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:4])
