"""The models of a plan, proven and then held against their proofs as timed; nothing is timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue

from benchmarks import frameworks
from benchmarks.proof import kept
from benchmarks.proof.group import (
    AT_ONCE,
    NoneLeftError,
    Proven,
    Proving,
    compare_stack,
    working,
)
from benchmarks.request.plan import Group, Plan
from benchmarks.request.selection import Selection
from benchmarks.results.records import Failure, Parity, Stack, TimedCheck
from benchmarks.worker import briefing, checks
from benchmarks.worker.process import Start, WorkerError, WorkerProcess

Errors = dict[str, WorkerError]
"""Why a stack, by name, could not compute what it is checked on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What the verification of a model found; ``name`` is that of its group.

    ``parity`` is its proof with the checks as timed, and ``None`` where ``error`` says why there is
    none. ``failures`` are the stacks that could not be proven or checked. ``since`` is the day on
    which this was found, where it was kept, and empty where it was found now, in ``seconds``.
    """

    name: str
    parity: Parity | None = None
    error: WorkerError | None = None
    failures: Errors = field(default_factory=dict)
    seconds: float = 0.0
    since: str = ""


def verified(
    made: Plan,
    threads: int,
    start: Start = WorkerProcess,
    *,
    store: Path | None = None,
    again: bool = False,
) -> Generator[Verified]:
    """Prove each model of a plan, and hold its stacks against that; in the plan's order.

    Two models at a time, in workers that go on with the next one: nothing is timed here. An engine
    that cannot run a proof costs its own stacks, and a stack that fails where it is checked its own
    check alone.

    Args:
        made: what is verified.
        threads: of each stack as it would be timed.
        start: makes a worker.
        store: the folder in which verifications that held are kept; ``None``: none is.
        again: whether what is kept there is proven again.

    Raises:
        UsageError: a model's task does not fit its twins; one line says what.
    """
    for model, broken in made.broken.items():
        yield Verified(name=model, error=WorkerError(broken.status, str(broken), Failure()))
    todo = [
        replace(group, stacks=able)
        for group in made.groups
        if (able := tuple(s for s in group.stacks if not made.lacking(group.model, s)))
    ]
    verifiers = [_Verifier(made, threads, start) for _ in todo[:AT_ONCE]]
    free = SimpleQueue[_Verifier]()
    for verifier in verifiers:
        free.put(verifier)
    places = [kept.path(store, made, group, threads) if store else None for group in todo]
    with working([verifier.proving for verifier in verifiers]) as pool:
        asked = [
            pool.submit(_verified, group, free, place, again=again)
            for group, place in zip(todo, places, strict=True)
        ]
        for one in asked:
            yield one.result()
        for verifier in verifiers:
            verifier.quit()


def _verified(
    group: Group, free: SimpleQueue[_Verifier], place: Path | None, *, again: bool
) -> Verified:
    """What is kept of a group at a place, else what the next free verifier finds, which is kept."""
    if place and not again and (found := kept.read(place)):
        return Verified(name=group.name, parity=found.parity, since=found.date)
    verifier = free.get()
    try:
        done = verifier.verify(group)
    finally:
        free.put(verifier)
    if place and done.parity and not done.failures and kept.sound(done.parity):
        kept.store(place, done.parity)
    return done


class _Verifier:
    """Verifies one model after the other, in workers that it keeps until one fails."""

    def __init__(self, made: Plan, threads: int, start: Start) -> None:
        self.selection, self.threads = made.selection, threads
        self.proving = Proving(made.selection, start)
        self._stacks: dict[Stack, WorkerProcess] = {}

    def quit(self) -> None:
        """Let all workers end by themselves, which have answered."""
        for worker in self._stacks.values():
            worker.quit()
        self.proving.quit()

    def verify(self, group: Group) -> Verified:
        """Prove a model and check its stacks, all of which can run here."""
        began = time.monotonic()
        try:
            found = self.proving.proof(group)
        except NoneLeftError as error:
            first = next(iter(error.lost.values()))
            return Verified(name=group.name, error=first, seconds=time.monotonic() - began)
        engines = {s: self.selection.engine(s) for s in group.stacks}
        failures = {str(s): found.lost[e] for s, e in engines.items() if e in found.lost}
        left = [s for s in group.stacks if found.references and str(s) not in failures]
        timed = tuple(self._checked(group, left, found, failures))
        return Verified(
            name=group.name,
            parity=replace(found.parity, timed=timed),
            failures=failures,
            seconds=time.monotonic() - began,
        )

    def _checked(
        self, group: Group, stacks: list[Stack], proven: Proven, failures: Errors
    ) -> Iterator[TimedCheck]:
        """Hold each stack, as it would be timed, against the float64 references, two at a time.

        Those that could not compute them are added to ``failures``.
        """
        for first in range(0, len(stacks), AT_ONCE):
            asked = {s: self._check(s, group, proven) for s in stacks[first : first + AT_ONCE]}
            with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
                answers = {stack: pool.submit(check) for stack, check in asked.items()}
                for stack, answer in answers.items():
                    try:
                        yield from answer.result()
                    except WorkerError as error:
                        failures[str(stack)] = error

    def _check(self, stack: Stack, group: Group, proven: Proven) -> Callable[[], list[TimedCheck]]:
        """What checks a stack, once it is called; its worker is spawned here.

        A worker goes on with the next model where no compiler keeps what it made of the last one.
        """
        there, asked = self._stacks.pop(stack, None), self.selection
        python = asked.variant(stack).python
        worker = there or self.proving.start(stack, python=python, passed=asked.env)
        self._stacks[stack] = worker
        handoff = proven.handoffs[asked.engine(stack)]
        job = briefing.job(group, asked, stack, self.threads, handoff)
        begin = ("rebuild", {}) if there else ("start", {"spawned": worker.spawned})

        def check() -> list[TimedCheck]:
            verb, told = begin
            goes_on = False
            try:
                worker.ask(verb, deadline_s=asked.timeout_s, job=job, **told)
                found = list(_held(worker, stack, group, proven, asked))
                goes_on = stack.mode in frameworks.facts(stack.framework).plain
            finally:
                if not goes_on:
                    self._stacks.pop(stack, None)
                    worker.quit()
            return found

        return check


def _held(
    worker: WorkerProcess,
    stack: Stack,
    group: Group,
    proven: Proven,
    selection: Selection,
) -> Iterator[TimedCheck]:
    """Each part that a stack computes, against its reference."""
    for part in _parts(stack):
        reference = proven.references[checks.SAME_AS.get(part, part)]
        written = reference.with_name(f"{stack}-{part}.npz")
        worker.ask("check", deadline_s=selection.timeout_s, part=part, path=str(written))
        yield from compare_stack(
            group, selection, proven.parity, stack, reference=reference, written=written
        )


def _parts(stack: Stack) -> tuple[str, ...]:
    """What a stack is checked on: one with a trainer of its own on that, too."""
    return (*checks.PARTS, *((checks.FIT,) if stack.trainer else ()))
