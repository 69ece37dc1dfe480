"""The models of a plan, proven and then held against their proofs as timed; nothing is timed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.proof.group import (
    AT_ONCE,
    NoneLeftError,
    Proven,
    by_able,
    compare_stack,
    opened,
)
from benchmarks.proof.sides import Sides
from benchmarks.request.plan import Group, Plan
from benchmarks.request.selection import Selection
from benchmarks.results.records import Failure, Parity, Stack, TimedCheck
from benchmarks.worker import briefing, checks
from benchmarks.worker.process import Start, WorkerError, WorkerProcess

Errors = dict[str, WorkerError]
"""Why a stack, by name, could not compute what it is checked on."""


def verified(
    made: Plan, threads: int, start: Start = WorkerProcess
) -> Iterator[tuple[str, Parity | WorkerError, Errors]]:
    """Each model of a plan and its proof, its stacks held against it; or why there is none.

    The workers of one proof make the next, until one fails. An engine that cannot run a proof costs
    its own stacks, and a stack that fails where it is checked its own check alone.
    """
    for model, error in made.broken.items():
        yield model, WorkerError(error.status, str(error), Failure()), {}
    with ExitStack() as stack:
        there: dict[tuple[Stack, ...], Sides] = {}

        def workers(stacks: tuple[Stack, ...]) -> Sides:
            if stacks not in there or there[stacks].ended:
                there[stacks] = stack.enter_context(opened(stacks, made.selection, start))
            return there[stacks]

        for group in made.groups:
            able = tuple(s for s in group.stacks if not made.lacking(group.model, s))
            if not able:
                continue
            mine = replace(group, stacks=able)
            try:
                found, _ = by_able(mine, made.selection, workers)
            except NoneLeftError as error:
                yield group.name, next(iter(error.lost.values())), {}
                continue
            engines = {s: made.selection.engine(s) for s in able}
            failures = {str(s): found.lost[e] for s, e in engines.items() if e in found.lost}
            left = replace(mine, stacks=tuple(s for s in able if str(s) not in failures))
            timed = tuple(check_stacks(left, made.selection, threads, found, failures, start))
            yield group.name, replace(found.parity, timed=timed), failures


def check_stacks(
    group: Group,
    selection: Selection,
    threads: int,
    proven: Proven,
    failures: Errors,
    start: Start = WorkerProcess,
) -> Iterator[TimedCheck]:
    """Hold each stack of a group, as it would be timed, against the float64 references.

    Two at a time: nothing is timed here. None where the proof failed. Those that could not compute
    them are added to ``failures``.
    """
    for first in range(0, len(group.stacks) if proven.references else 0, AT_ONCE):
        stacks = group.stacks[first : first + AT_ONCE]
        # The kernel ends a worker with the thread that spawned it, so this thread spawns them all.
        workers = [
            start(s, python=selection.variant(s).python, passed=selection.env) for s in stacks
        ]
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            asked = [
                pool.submit(_checked, group, selection, threads, proven, s, w)
                for s, w in zip(stacks, workers, strict=True)
            ]
            try:
                for one, answer in zip(stacks, asked, strict=True):
                    try:
                        yield from answer.result()
                    except WorkerError as error:
                        failures[str(one)] = error
            except BaseException:
                for worker in workers:
                    worker.kill()
                raise


def _checked(
    group: Group,
    selection: Selection,
    threads: int,
    proven: Proven,
    stack: Stack,
    worker: WorkerProcess,
) -> list[TimedCheck]:
    found: list[TimedCheck] = []
    parts = {part: proven.references[checks.SAME_AS.get(part, part)] for part in _parts(stack)}
    try:
        worker.ask(
            "start",
            deadline_s=selection.timeout_s,
            spawned=worker.spawned,
            job=briefing.job(
                group, selection, stack, threads, proven.handoffs[selection.engine(stack)]
            ),
        )
        for part, reference in parts.items():
            written = reference.with_name(f"{stack}-{part}.npz")
            worker.ask("check", deadline_s=selection.timeout_s, part=part, path=str(written))
            found += compare_stack(
                group, selection, proven.parity, stack, reference=reference, written=written
            )
    finally:
        worker.quit()
    return found


def _parts(stack: Stack) -> tuple[str, ...]:
    """What a stack is checked on: one with a trainer of its own on that, too."""
    return (*checks.PARTS, *((checks.FIT,) if stack.trainer else ()))
