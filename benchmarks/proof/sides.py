"""The workers of a proof, one per framework, asked at the same time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import frameworks
from benchmarks.frameworks import encoding
from benchmarks.frameworks.description import (
    Assigned,
    Description,
)
from benchmarks.machine import scratch
from benchmarks.results.records import Failure, Finding, Stack
from benchmarks.results.stored.codec import from_json
from benchmarks.tasks import stored
from benchmarks.worker.process import Start, WorkerError, WorkerProcess

WORKER = "benchmarks.proof.worker"
AT_ONCE = 2
MOST_VALUES = 1 << 40
"""Numbers that a twin may say to have."""
SHARING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads of OpenMP that wait leave their core, which the other side computes on at that time."""
Traces = dict[str, dict[str, Any]]
"""Arrays by side and key."""


class UsageError(ValueError):
    """Something that the user must mend; the text is one line."""


class Sides:
    """A worker for each framework, by its name; they may prove one model after the other.

    ``pythons`` are interpreters of those that live in another environment. ``ended`` tells whether
    they were ended.
    """

    def __init__(
        self,
        stacks: Mapping[str, Stack],
        folder: Path,
        timeout_s: float,
        pythons: Mapping[str, str | None] | None = None,
        passed: Sequence[str] = (),
        start: Start = WorkerProcess,
    ) -> None:
        self.folder, self.timeout_s = folder, timeout_s
        self.frameworks = {name: stack.framework for name, stack in stacks.items()}
        self.workers: dict[str, WorkerProcess] = {}
        self.ended = False
        # The kernel ends a worker with the thread that spawned it, so this thread spawns them all.
        try:
            for name, stack in stacks.items():
                self.workers[name] = start(
                    stack,
                    python=(pythons or {}).get(name),
                    more=SHARING,
                    program=WORKER,
                    passed=passed,
                )
        except BaseException:
            self.end()
            raise

    @property
    def names(self) -> tuple[str, ...]:
        """All sides, the one that the others are compared with first: PyTorch where it is there."""
        own = [n for n, f in self.frameworks.items() if frameworks.facts(f).dialect == f]
        return tuple(dict.fromkeys([*own, *self.workers]))

    def ask(self, verb: str, each: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """One question to each side named, two at a time.

        Raises:
            WorkerError: a side failed; it names which.
            UsageError: a side says what the user must mend.
        """
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            asked = {
                side: pool.submit(self.workers[side].ask, verb, deadline_s=self.timeout_s, **told)
                for side, told in each.items()
            }
            try:
                answers = {side: _of(side, answer) for side, answer in asked.items()}
            except BaseException:  # an interrupt must not wait for the proof to end
                self.end()
                raise
        for answer in answers.values():
            if "usage" in answer:
                raise UsageError(answer["usage"])
        return answers

    def opened(self, **told: Any) -> dict[str, Description]:
        """Have every side build its twin and describe it."""
        answers = self.ask(
            "open", {name: {"framework": self.frameworks[name], **told} for name in self.names}
        )
        return {name: described(name, answers[name]) for name in self.names}

    def arrays(
        self, verb: str, each: Mapping[str, tuple[tuple[Assigned, ...], Any]], **more: Any
    ) -> tuple[Traces, list[Finding]]:
        """What each side wrote when asked with its assignment and the keys, and the findings."""
        paths = {side: self.folder / f"{verb}-{side}.npz" for side in each}
        answers = self.ask(
            verb,
            {
                side: {
                    "assigned": encoding.plain(assigned),
                    "keys": keys,
                    "path": str(paths[side]),
                    **more,
                }
                for side, (assigned, keys) in each.items()
            },
        )
        found, notes = Traces(), list[Finding]()
        for side, path in paths.items():
            with _as_told(side):
                found[side] = stored.read(path)
                notes += from_json(list[Finding], answers[side]["findings"])
        return found, notes

    def quit(self) -> None:
        """Let all end by themselves, which have answered."""
        for worker in self.workers.values():
            worker.quit()

    def end(self) -> None:
        """End all, whatever they do."""
        self.ended = True
        for worker in self.workers.values():
            worker.kill()


def described(side: str, answer: Mapping[str, Any]) -> Description:
    """What a side told of its twin.

    Raises:
        WorkerError: it is no description: the code of a model can change what is told of it.
    """
    with _as_told(side):
        found = from_json(Description, answer["description"])
        shapes = [w.shape for node in found.nodes for w in node.weights.values()]
        if any(length < 0 for shape in shapes for length in shape):
            raise ValueError("a length below 0")
        if sum(map(math.prod, shapes)) > MOST_VALUES:
            raise ValueError("more weights than any machine holds")
        return found


@contextmanager
def _as_told(side: str) -> Iterator[None]:
    """Within it what a side told or wrote is read.

    Raises:
        WorkerError: it is not what it should be.
    """
    try:
        yield
    except (LookupError, ValueError) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        told = f"what the {side} side told cannot be read: {what}"
        failed = WorkerError("error", told, Failure())
        failed.side = side
        raise failed from error


def _of(side: str, answer: Future[dict[str, Any]]) -> dict[str, Any]:
    try:
        return answer.result()
    except WorkerError as error:
        error.side = side
        raise


@contextmanager
def sides(
    stacks: Mapping[str, Stack],
    timeout_s: float,
    pythons: Mapping[str, str | None] | None = None,
    passed: Sequence[str] = (),
    start: Start = WorkerProcess,
) -> Iterator[Sides]:
    """The workers, for as long as it lasts; ``passed`` as in ``WorkerProcess``."""
    with scratch.folder("proof") as folder:
        every = Sides(stacks, folder, timeout_s, pythons, passed, start)
        try:
            yield every
            every.quit()
        finally:
            every.end()
