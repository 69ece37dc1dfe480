"""Watching a process from outside: phases are marked here, read by a sampler, summarised here.

The result is plain data. A figure is a value, or ``None`` with the reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from profilers.host import NANO
from profilers.metrics import Capability, Metric, Point, Window, absent, rounded, summary
from profilers.probes._protocol import metrics
from profilers.sampler import HZ, MOST_HZ

SCHEMA = 1
PATIENCE_S = 10.0
"""How long the sampler may take to answer; it is usually a millisecond."""
POINTS = 60
"""How many readings of a metric a result keeps: a run of a hundred cases stays a few MB."""
SERIES = (
    "cpu.cores_used",
    "cpu.rss_bytes",
    "gpu.kernel_resident_pct",
    "gpu.sm_active_pct",
    "gpu.memory_used_bytes",
    "gpu.power_w",
)
"""The metrics whose course over time a result keeps."""
TOO_CLOSE_S = 0.04
"""Readings nearer to the one before are left out of a course: both ends of a phase are read."""
NO_GPU = "no GPU was watched"
BLOCK = 1 << 16


class SamplerError(Exception):
    """The sampler could not start, died, or does not answer; one line that says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """All that a sampler told, put in order."""

    anchor: Mapping[str, int]
    device: Mapping[str, str | None]
    able: Mapping[str, Capability]
    points: Mapping[str, Sequence[Point]]
    phases: Mapping[str, Sequence[Window]]
    ended: Mapping[str, str]

    @classmethod
    def of(cls, entries: Sequence[Mapping[str, Any]]) -> Course:
        """Sort the sampler's lines.

        A metric that could be read at first and then was refused ends with that reason.
        """
        first = entries[0]
        points: dict[str, list[Point]] = {}
        phases: dict[str, list[Window]] = {}
        ended: dict[str, str] = {}
        running: tuple[str, int] | None = None
        for entry in entries[1:]:
            if "phase" in entry:
                if running:
                    name, began_ns = running
                    phases.setdefault(name, []).append(Window(began_ns, entry["at"]))
                running = (entry["phase"], entry["at"]) if entry["phase"] else None
            elif "lost" in entry:
                ended |= dict.fromkeys(entry["lost"], entry["reason"])
            else:
                ended |= {n: why for n, why in entry.get("no", {}).items() if why}
                for name, value in entry["v"].items():
                    ended.pop(name, None)
                    points.setdefault(name, []).append(Point(entry["t"], value))
        return cls(
            anchor=first["anchor"],
            device=first["device"],
            able={name: Capability(**told) for name, told in first["able"].items()},
            points=points,
            phases=phases,
            ended=ended,
        )

    def summaries(self, phase: str) -> dict[str, Any]:
        """Every metric of the probes that ran, over the windows of a phase."""
        known, windows = metrics(), self.phases[phase]
        figures = {
            name: summary(
                known[name], able, self.points.get(name, ()), windows, self.ended.get(name)
            )
            for name, able in self.able.items()
        }
        return {"seconds": rounded(sum(w.seconds for w in windows))} | figures

    def series(self, count: int = POINTS) -> dict[str, list[float | None]]:
        """The course of ``SERIES`` since the first phase began, at ``count`` moments at most.

        ``at_s`` are the moments; a rate holds from the moment before.
        """
        began_ns = min((w.began_ns for ws in self.phases.values() for w in ws), default=0)
        known = metrics()
        found = {name: self.points[name] for name in SERIES if self.points.get(name)}
        moments = sorted({p.at_ns for ps in found.values() for p in ps if p.at_ns >= began_ns})
        moments = [b for a, b in pairwise([0, *moments]) if (b - a) * NANO > TOO_CLOSE_S]
        if len(moments) > count:
            moments = [moments[i * (len(moments) - 1) // (count - 1)] for i in range(count)]
        course: dict[str, list[float | None]] = {
            "at_s": [round((at_ns - began_ns) * NANO, 2) for at_ns in moments]
        }
        for name, points in found.items():
            course[name] = _at(moments, points, known[name])
        return course

    def counters(self, zero_ns: int) -> dict[str, list[tuple[int, float | None]]]:
        """Every reading of ``SERIES`` from a moment on, by nanoseconds since then.

        The first stands at 0: it is the last that was read before.
        """
        known = metrics()
        found: dict[str, list[tuple[int, float | None]]] = {}
        for name in SERIES:
            points = self.points.get(name, ())
            values = _at([p.at_ns for p in points], points, known[name]) if points else []
            read = [(p.at_ns - zero_ns, v) for p, v in zip(points, values, strict=True)]
            before = [(0, value) for at_ns, value in read if at_ns <= 0 and value is not None]
            found[name] = before[-1:] + [(at_ns, value) for at_ns, value in read if at_ns > 0]
        return {name: series for name, series in found.items() if series}


@dataclass
class Telemetry:
    """Runs a sampler beside a process; a context manager.

    Nothing is read before the first ``mark`` but once at the start, and nothing after ``pause``.
    The device must be idle at a mark: what still runs would be counted in the next phase.

    Args:
        pid: the process to watch.
        gpu_uuid: the GPU that it uses, by UUID; ``None``: none is watched.
        hz: readings per second, 20 at most.
    """

    pid: int
    gpu_uuid: str | None = None
    hz: float = HZ
    _entries: list[dict[str, Any]] = field(default_factory=list, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _held: bytes = field(default=b"", init=False)

    def __post_init__(self) -> None:
        if not 0 < self.hz <= MOST_HZ:
            raise ValueError(f"{self.hz:g} Hz: a sampler reads up to {MOST_HZ:g} times a second")

    def __enter__(self) -> Self:
        """Start the sampler.

        Raises:
            SamplerError: it did not start.
        """
        self._log = tempfile.TemporaryFile()
        command = [sys.executable, "-m", "profilers.sampler", "--pid", str(self.pid)]
        command += ["--hz", f"{self.hz:g}", *(["--gpu", self.gpu_uuid] if self.gpu_uuid else [])]
        try:
            self._process = subprocess.Popen(
                command,
                cwd=Path(__file__).parent.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                start_new_session=True,  # an interrupt at the terminal is for the parent
            )
        except OSError as error:
            self._log.close()
            raise SamplerError(f"the sampler cannot start: {error.strerror}") from error
        try:
            self._read_until("v")
        except SamplerError:
            self._kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the sampler and take in what it still has to tell."""
        process = self._process
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(SamplerError, OSError):
            process.stdin.close()
            self._read_until(None)
        self._kill()

    def mark(self, name: str) -> None:
        """Begin a phase, or go on with one of that name.

        Raises:
            SamplerError: the sampler is gone.
        """
        self._tell(f"mark {name}")

    def pause(self) -> None:
        """End the phase; nothing is read until the next mark.

        Raises:
            SamplerError: the sampler is gone.
        """
        self._tell("pause")

    def course(self) -> Course:
        """All that was read."""
        return Course.of(self._entries)

    def result(self) -> dict[str, Any]:
        """What was read, summarised by phase, as it is stored (schema 1)."""
        course = self.course()
        return {
            "schema": SCHEMA,
            "hz": self.hz,
            "source": "process",
            "anchor": dict(course.anchor),
            "device": dict(course.device) or absent(NO_GPU),
            "capabilities": {n: able.reason or "available" for n, able in course.able.items()},
            "phases": {name: course.summaries(name) for name in course.phases},
            "series": course.series(),
        }

    def _tell(self, line: str) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise SamplerError("the sampler has not been started")
        try:
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
        except OSError:
            raise SamplerError(self._how_it_ended()) from None
        self._read_until("phase")

    def _read_until(self, key: str | None) -> None:
        """Take in lines up to one with a key, or all there are.

        Raises:
            SamplerError: it ended before, or time is up.
        """
        assert self._process is not None  # noqa: S101 - every caller has checked
        assert self._process.stdout is not None  # noqa: S101
        out, until = self._process.stdout.fileno(), time.monotonic() + PATIENCE_S
        while True:
            *lines, self._held = self._held.split(b"\n")
            told = [json.loads(line) for line in lines]
            self._entries += told
            if any(key in entry for entry in told):
                return
            if not select.select([out], [], [], max(0.0, until - time.monotonic()))[0]:
                raise SamplerError(f"the sampler did not answer within {PATIENCE_S:g} s")
            received = os.read(out, BLOCK)
            if not received and key is None:
                return
            if not received:
                raise SamplerError(self._how_it_ended())
            self._held += received

    def _how_it_ended(self) -> str:
        process = self._process
        assert process is not None  # noqa: S101 - every caller has checked
        code = process.wait()
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return f"the sampler ended with {code}" + (f": {lines[-1]}" if lines else "")

    def _kill(self) -> None:
        process = self._process
        assert process is not None  # noqa: S101 - every caller has checked
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._log.close()


def _at(moments: Sequence[int], points: Sequence[Point], metric: Metric) -> list[float | None]:
    """The readings at some moments; of a rate its slope since the moment before."""
    values = {p.at_ns: p.value for p in points}
    taken = [values.get(at_ns) for at_ns in moments]
    if metric.kind != "rate":
        return [None if value is None else rounded(value) for value in taken]
    slopes: list[float | None] = [None]
    for (before, at_ns), (a, b) in zip(pairwise(moments), pairwise(taken), strict=True):
        grown = None if a is None or b is None or b < a else b - a
        slopes.append(None if grown is None else rounded(grown / ((at_ns - before) * NANO)))
    return slopes[: len(moments)]
