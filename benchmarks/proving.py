"""Runs the proof: each framework in a process of its own, the comparison in the parent."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import briefing, parity, registry, rounding
from benchmarks.plan import Group, Selection
from benchmarks.process import WorkerProcess
from benchmarks.records import Parity, Stack, TimedCheck

References = dict[str, Path]
"""Where the float64 reference of each part lies."""


@contextmanager
def proof(group: Group, selection: Selection, threads: int) -> Iterator[tuple[Parity, References]]:
    """Prove a group's twins; the float64 references of the timed checks live as long as the block.

    There are none where the proof failed.

    Raises:
        WorkerError: a framework could not run it, which says nothing about identity.
    """
    engines = {
        selection.engine(s): replace(s, mode=registry.adapter(s.adapter).proof_mode)
        for s in group.stacks
    }
    with tempfile.TemporaryDirectory(prefix="twinbench-proof-") as folder:
        yield _prove(group, selection, threads, engines, Path(folder))


def _prove(
    group: Group,
    selection: Selection,
    threads: int,
    engines: Mapping[str, Stack],
    folder: Path,
) -> tuple[Parity, References]:
    spec = registry.spec(group.model, selection.models_dir)
    small = replace(spec.at(spec.size("quick")), deterministic=True)
    references = {part: folder / f"reference-{part}.npz" for part in rounding.PARTS}
    written = {engine: folder / f"{engine}.npz" for engine in engines}
    as_timed = briefing.job(group, selection, needs_data=False)
    as_proven = as_timed | {
        "input_shape": small.input_shape,
        "batch": small.proof_batch,
        "deterministic": True,
    }
    leader = {
        "job": as_timed,
        "paths": {part: str(path) for part, path in references.items()},
    }

    def one(engine: str, worker: WorkerProcess) -> dict[str, Any]:
        # A layout is no part of the function: what is timed in another is checked as timed.
        on_cpu = {"device": "cpu", "precision": "float64", "policy": "matched", "layout": None}
        return _asked(
            worker,
            deadline_s=selection.timeout_s,
            adapter=worker.stack.adapter,
            settings=briefing.settings(worker.stack, selection, threads, **on_cpu),
            job=as_proven,
            path=str(written[engine]),
            reference=leader if engine == next(iter(engines)) else None,
        )

    result = parity.compare(small, written, _side_by_side(selection, engines, one))
    return result, references if result.status != "failed" else {}


def _asked(worker: WorkerProcess, **arguments: Any) -> dict[str, Any]:
    """What a worker answers to ``prove``; afterwards it is gone, whatever happened."""
    try:
        answer = worker.ask("prove", **arguments)
        worker.quit()
    except BaseException:
        worker.kill()
        raise
    return answer


def _side_by_side(
    selection: Selection,
    engines: Mapping[str, Stack],
    ask: Callable[[str, WorkerProcess], dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Ask a worker of each engine, two at a time: nothing is timed here.

    The kernel ends a worker with the thread that spawned it, so this thread spawns them all.
    """
    workers = {
        engine: WorkerProcess(stack, python=selection.variant(stack).python)
        for engine, stack in engines.items()
    }
    with ThreadPoolExecutor(max_workers=2) as pool:
        asked = {e: pool.submit(ask, e, worker) for e, worker in workers.items()}
        try:
            return {engine: answer.result() for engine, answer in asked.items()}
        except BaseException:  # an interrupt must not wait for the proof to end
            for worker in workers.values():
                worker.kill()
            raise


def compare_stack(
    group: Group, selection: Selection, stack: Stack, *, reference: Path, written: Path
) -> Iterator[TimedCheck]:
    """What a stack of a group wrote, as it is timed, against a float64 reference."""
    return rounding.timed_checks(
        group.spec,
        str(stack),
        precision=rounding.timed_precision(selection.precision, selection.device, selection.policy),
        batch=group.size.batch,
        seed=selection.seed,
        reference=reference,
        written=written,
    )


def check_stacks(
    group: Group, selection: Selection, threads: int, references: References
) -> Iterator[TimedCheck]:
    """Hold each stack of a group, as it would be timed, against the float64 references.

    Raises:
        WorkerError: a stack could not compute them.
    """
    for stack in group.stacks:
        worker = WorkerProcess(stack, python=selection.variant(stack).python)
        try:
            worker.ask(
                "start",
                deadline_s=selection.timeout_s,
                spawned=worker.spawned,
                adapter=stack.adapter,
                settings=briefing.settings(stack, selection, threads, group.model),
                job=briefing.job(group, selection, needs_data=False),
            )
            for part, reference in references.items():
                written = reference.with_name(f"{stack}-{part}.npz")
                worker.ask("check", deadline_s=selection.timeout_s, part=part, path=str(written))
                yield from compare_stack(
                    group, selection, stack, reference=reference, written=written
                )
        finally:
            worker.quit()
