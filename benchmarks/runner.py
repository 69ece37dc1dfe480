"""The parent: proves, launches, journals, and survives everything that a worker does.

It imports no framework and blocks while workers run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.gate import Gate
from benchmarks.launch import Context, Launch
from benchmarks.nursery import Nursery
from benchmarks.plan import Group, Plan
from benchmarks.process import WorkerError
from benchmarks.progress import Listener
from benchmarks.proving import References, compare_stack, proof
from benchmarks.records import Matchup, Run, Stack, to_json
from benchmarks.results import Ledger, assemble

Append = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Carries out a plan; ``append`` writes the journal, ``ledger`` holds what is already in it."""

    plan: Plan
    header: Run
    threads: int
    append: Append
    ledger: Ledger
    listener: Listener
    gate: Gate = field(default_factory=Gate)

    def run(self) -> Run:
        """Measure what the ledger lacks and return the run; an interrupt keeps all that is done."""
        began = time.monotonic()
        interrupted = False
        self.listener.begin(self.plan)
        with (
            tempfile.TemporaryDirectory(prefix="twinbench-cache-") as cache,
            Nursery(self.plan.selection) as nursery,
        ):
            try:
                for group in self.plan.groups:
                    self._group(group, Path(cache), nursery)
            except KeyboardInterrupt:
                interrupted = True
            finally:
                self.listener.end()
        spent = self.header.seconds + time.monotonic() - began
        self._record("end", seconds=spent, interrupted=interrupted)
        run = self._assembled(interrupted=interrupted)
        return replace(run, seconds=spent)

    def _group(self, group: Group, cache: Path, nursery: Nursery) -> None:
        lacking = self.plan.lacking
        able = replace(group, stacks=tuple(s for s in group.stacks if not lacking(group.model, s)))
        if any(self._wanted(able, index) for index in range(self.plan.effort.launches)):
            self.listener.proving(group)
            nursery.start(able.stacks)
            try:
                with proof(able, self.plan.selection, self.threads) as (found, references):
                    self._record("proof", model=group.model, parity=to_json(found))
                    self.listener.proved(group, found)
                    if references:
                        nursery.settle()
                        self._launches(able, cache, references, nursery)
            except WorkerError as error:
                self._unproven(able, error)
        for result in self._assembled().matchups:
            if result.matchup in group.matchups:
                self.listener.finished(result)

    def _unproven(self, group: Group, error: WorkerError) -> None:
        """A proof that could not run costs every case of its model, but refutes nothing."""
        for matchup in group.matchups:
            for stack in group.stacks:
                self._record(
                    "failure",
                    matchup=matchup.id,
                    stack=str(stack),
                    launch=None,
                    status=error.status,
                    reason=f"the proof could not run: {error.reason}",
                    failure=to_json(error.failure),
                )

    def _launches(
        self, group: Group, cache: Path, references: References, nursery: Nursery
    ) -> None:
        context = Context(
            selection=self.plan.selection,
            effort=self.plan.effort,
            threads=self.threads,
            append=self._record,
            cache=cache,
            gate=self.gate,
            nursery=nursery,
        )
        for index in range(self.plan.effort.launches):
            wanted = self._wanted(group, index)
            if not wanted:
                continue

            def progress(step: str, launch: int = index) -> None:
                self.listener.step(group, launch, step)

            def check(stack: Stack, part: str, written: Path) -> None:
                self._check(group, stack, written, references[part])

            seen = {c.stack for c in self.ledger.checks.get(group.model, ())}
            launch = Launch(context=context, group=group, index=index, wanted=wanted)
            launch.run(check, progress, checked=seen, refused=self._refused(group))

    def _wanted(self, group: Group, index: int) -> dict[Matchup, tuple[Stack, ...]]:
        """What a launch still has to measure: not what is done, and nothing that failed before."""
        refused = self.ledger.refused(group.model)
        cold = self.plan.effort.cold_launches
        wanted = {
            matchup: tuple(
                s
                for s in group.stacks
                if str(s) not in refused and not self.ledger.done(matchup, s, index, cold)
            )
            for matchup in group.matchups
        }
        return {matchup: stacks for matchup, stacks in wanted.items() if stacks}

    def _check(self, group: Group, stack: Stack, written: Path, reference: Path) -> None:
        """Hold what a stack computes, as timed, against the float64 reference."""
        checks = compare_stack(
            group, self.plan.selection, stack, reference=reference, written=written
        )
        for check in checks:
            self._record("check", model=group.model, check=to_json(check))

    def _refused(self, group: Group) -> Callable[[Stack], bool]:
        return lambda stack: str(stack) in self.ledger.refused(group.model)

    def _record(self, kind: str, **data: Any) -> None:
        self.append(kind, **data)
        self.ledger.add({"kind": kind, **data})

    def _assembled(self, *, interrupted: bool = False) -> Run:
        return assemble(self.plan, self.ledger, self.header, interrupted=interrupted)
