"""What is profiled: one matchup, in workers that are started and warmed up as timed ones are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.machine import environment, locks
from benchmarks.proof import group as proven
from benchmarks.request import discovery, plan
from benchmarks.request.plan import Group, Plan
from benchmarks.request.selection import Selection, SelectionError
from benchmarks.results.records import LayerWork, Matchup, Stack
from benchmarks.worker import briefing
from benchmarks.worker.process import WorkerProcess

WARM_S = 1.0
TURN_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One model in one phase, and the stacks that can run it here.

    ``lacking`` says of each other stack that was asked for why it cannot; ``handoffs`` which weight
    of each engine is which; ``layers`` what they do; ``held`` that the device is locked already.
    """

    plan: Plan
    group: Group
    matchup: Matchup
    stacks: tuple[Stack, ...]
    lacking: Mapping[Stack, str]
    threads: int
    handoffs: Mapping[str, Mapping[str, Any]]
    layers: tuple[LayerWork, ...] = ()
    held: bool = False

    @property
    def selection(self) -> Selection:
        """What the user asked for."""
        return self.plan.selection

    def device(self) -> AbstractContextManager[object]:
        """What keeps others off the device while a worker runs."""
        return nullcontext() if self.held else locks.held_by(self.selection.device)


def subject(chosen: Selection) -> Subject:
    """The one matchup of a selection.

    Raises:
        SelectionError: it names no model or phase, or more than one; or no stack can run it.
        WorkerError: a framework could not describe its twin.
        UnknownNameError: a model, phase or stack that is not there.
    """
    if len(chosen.models) != 1 or len(chosen.phases) != 1:
        raise SelectionError("a profile is of one model in one phase")
    made = plan.make(chosen)
    if len(made.groups) > 1:
        raise SelectionError("a profile is of one batch and one size")
    group = made.groups[0]
    lacking = {s: why for s in group.stacks if (why := made.lacking(group.model, s))}
    able = tuple(s for s in group.stacks if s not in lacking)
    if not able:
        raise SelectionError("; ".join(f"{s}: {why}" for s, why in lacking.items()))
    handoffs, found = proven.handoffs(replace(group, stacks=able), made.selection)
    return Subject(
        plan=made,
        group=group,
        matchup=group.matchups[0],
        stacks=able,
        lacking=lacking,
        threads=environment.usable_cores(),
        handoffs=handoffs,
        layers=found.layers,
    )


@contextmanager
def started(
    of: Subject,
    stack: Stack,
    *,
    more: Mapping[str, str] | None = None,
    spawned: Callable[[WorkerProcess], object] | None = None,
) -> Iterator[WorkerProcess]:
    """A worker of a stack with its model built; it ends with the block.

    ``more`` are variables of its environment; ``spawned`` is called with it before it has imported
    anything.

    Raises:
        WorkerError: it could not be made ready.
        Locked: another run is using the device.
    """
    with of.device(), _worker(of, stack, more) as worker:
        if spawned:
            spawned(worker)
        ask(
            worker,
            of,
            "start",
            spawned=worker.spawned,
            job=job(of, stack),
        )
        yield worker


def job(of: Subject, stack: Stack) -> dict[str, Any]:
    """What a worker of a stack is told to build."""
    return briefing.job(
        of.group,
        of.selection,
        stack,
        of.threads,
        of.handoffs[of.selection.engine(stack)],
        needs_data=discovery.load("phases", of.matchup.phase).NEEDS_DATA,
    )


@contextmanager
def prepared(
    of: Subject, stack: Stack, *, warm_s: float = WARM_S, more: Mapping[str, str] | None = None
) -> Iterator[WorkerProcess]:
    """A worker as ``started``, its phase warmed up.

    Raises:
        WorkerError: it could not be made ready.
    """
    with started(of, stack, more=more) as worker:
        ask(worker, of, "prepare", phase=of.matchup.phase, turn_s=TURN_S, warm_s=warm_s)
        yield worker


@contextmanager
def _worker(of: Subject, stack: Stack, more: Mapping[str, str] | None) -> Iterator[WorkerProcess]:
    python = of.selection.variant(stack).python
    worker = WorkerProcess(stack, python=python, more=more, passed=of.selection.env)
    try:
        yield worker
    finally:
        worker.quit()


def ask(worker: WorkerProcess, of: Subject, verb: str, **arguments: Any) -> dict[str, Any]:
    """One question, within the time a case may take.

    Raises:
        WorkerError: it failed, died or did not answer in time.
    """
    return worker.ask(verb, deadline_s=of.selection.timeout_s, **arguments)
