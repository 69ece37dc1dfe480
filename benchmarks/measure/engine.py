"""The parent: proves, launches, journals, and survives everything that a worker does.

It imports no framework and blocks while workers run.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.measure.launch import Launch
from benchmarks.measure.progress import Listener
from benchmarks.measure.rounds import Gate
from benchmarks.measure.stopping import TARGET, widest
from benchmarks.measure.summary import assemble
from benchmarks.measure.workers import Context
from benchmarks.proof.group import Handoff, Proven, compare_stack, handoffs, proof
from benchmarks.request.plan import Group, Plan
from benchmarks.results.ledger import Ledger
from benchmarks.results.records import Matchup, MatchupResult, Run, Stack, to_json
from benchmarks.worker import checks
from benchmarks.worker.process import WorkerError
from profilers import gpu_state

Append = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiler:
    """Records what the steps of a matchup are made of, in the phases for which it can.

    ``document`` is given the plan, the group, the matchup's result, the threads and what the proof
    found of each engine; it returns plain data, with a ``reason`` where there is none.
    """

    phases: Collection[str]
    document: Callable[[Plan, Group, MatchupResult, int, Mapping[str, Handoff]], dict[str, Any]]


FEWEST = 2
"""Launches that are made whatever the budget: without two there is no interval."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Carries out a plan; ``append`` writes the journal, ``ledger`` holds what is already in it.

    ``profiler`` is needed where the plan asks for profiles.
    """

    plan: Plan
    header: Run
    threads: int
    append: Append
    ledger: Ledger
    listener: Listener
    profiler: Profiler | None = None
    gate: Gate = field(default_factory=Gate)
    handoffs: dict[str, Mapping[str, Handoff]] = field(default_factory=dict)

    def run(self) -> Run:
        """Measure what the ledger lacks and return the run; an interrupt keeps all that is done."""
        began = time.monotonic()
        interrupted = False
        self.listener.begin(self.plan)
        with (
            tempfile.TemporaryDirectory(prefix="twinbench-cache-") as cache,
            gpu_state.Watch() as gpu,
        ):
            self.gate.gpu = gpu if self.plan.selection.device == "cuda" else None
            context = Context(
                selection=self.plan.selection,
                effort=self.plan.effort,
                threads=self.threads,
                append=self._record,
                cache=Path(cache),
                gate=self.gate,
            )
            purse = Purse(self.plan.selection.budget_s, self.header.seconds, began)
            try:
                for group in self.plan.groups:
                    self._group(group, context, purse)
                self._narrow(context, purse)
                self._profile(purse)
            except KeyboardInterrupt:
                interrupted = True
            finally:
                self.listener.end()
        spent = self.header.seconds + time.monotonic() - began
        self._record("end", seconds=spent, interrupted=interrupted)
        run = self._assembled(interrupted=interrupted)
        return replace(run, seconds=spent)

    def _group(self, group: Group, context: Context, purse: Purse) -> None:
        able = self._able(group)
        if any(self._wanted(able, index) for index in range(self.plan.effort.launches)):
            self.listener.proving(group)
            try:
                with proof(able, self.plan.selection) as proven:
                    self.handoffs[group.model] = proven.handoffs
                    self._record("proof", model=group.model, parity=to_json(proven.parity))
                    self.listener.proved(group, proven.parity)
                    if proven.references:
                        self._launches(able, proven, context, purse)
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

    def _launches(self, group: Group, proven: Proven, context: Context, purse: Purse) -> None:
        checked = set[tuple[Stack, str]]()

        def check(stack: Stack, part: str, written: Path) -> None:
            self._check(group, proven, stack, part, written)
            checked.add((stack, part))

        for index in range(self.plan.effort.launches):
            wanted = self._wanted(group, index)
            if not wanted or (index >= FEWEST and not purse.allows(group)):
                continue
            launch = Launch(
                context=context,
                group=group,
                index=index,
                wanted=wanted,
                handoffs=proven.handoffs,
            )
            with purse.paying(group):
                launch.run(
                    check,
                    self._progress(group, index),
                    checked=lambda stack, part: (stack, part) in checked,
                    refused=self._refused(group),
                )

    def _narrow(self, context: Context, purse: Purse) -> None:
        """More launches where the intervals are widest, as far as was asked and time allows."""
        target = self.plan.selection.until_ci or (TARGET if purse.limited else math.inf)
        groups = [able for g in self.plan.groups if (able := self._able(g)).stacks]
        while True:
            results = {r.matchup: r for r in self._assembled().matchups}
            made = {g.model: self._launches_made(g) for g in groups}
            wide = widest([g for g in groups if purse.allows(g)], results, made, target)
            if wide is None:
                return
            group, index = wide.group, made[wide.group.model]
            wanted = {m: s for m, s in self._wanted(group, index).items() if m in wide.matchups}
            if not wanted:  # all that is wide has failed
                groups.remove(group)
                continue
            launch = Launch(
                context=context,
                group=group,
                index=index,
                wanted=wanted,
                handoffs=self._handoffs(group),
            )
            with purse.paying(group):
                launch.run(
                    _unchecked,
                    self._progress(group, index),
                    checked=lambda _stack, _part: True,  # before the first launch was timed
                    refused=self._refused(group),
                )

    def _profile(self, purse: Purse) -> None:
        """What steps are made of, where that was asked: after all turns, and never a sample."""
        profiler = self.profiler
        if profiler is None or not self.plan.selection.profile:
            return
        for group, result in self._profiled(profiler.phases):
            self.listener.step(group, self.plan.effort.launches, f"{result.matchup.phase}, profile")
            if purse.allows(group):
                handoffs = self._handoffs(group)
                made = profiler.document(self.plan, group, result, self.threads, handoffs)
            else:
                made = {"reason": "the budget was spent"}
            self._record("profile", matchup=result.matchup.id, profile=made)

    def _profiled(self, phases: Collection[str]) -> Iterator[tuple[Group, MatchupResult]]:
        results = {r.matchup: r for r in self._assembled().matchups}
        for group in self.plan.groups:
            for matchup in group.matchups:
                if matchup.phase in phases and matchup.id not in self.ledger.profiles:
                    yield group, results[matchup]

    def _able(self, group: Group) -> Group:
        lacking = self.plan.lacking
        return replace(group, stacks=tuple(s for s in group.stacks if not lacking(group.model, s)))

    def _launches_made(self, group: Group) -> int:
        made = (self.ledger.launches.get(m.id, {}) for m in group.matchups)
        return max((index + 1 for launches in made for index in launches), default=0)

    def _progress(self, group: Group, index: int) -> Callable[[str], None]:
        return lambda step: self.listener.step(group, index, step)

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

    def _handoffs(self, group: Group) -> Mapping[str, Handoff]:
        """What the proof found of each engine; found anew where this run has not proven it."""
        if group.model not in self.handoffs:
            self.handoffs[group.model], _ = handoffs(self._able(group), self.plan.selection)
        return self.handoffs[group.model]

    def _check(self, group: Group, proven: Proven, stack: Stack, part: str, written: Path) -> None:
        """Hold what a stack computes, as timed, against the float64 reference."""
        found = compare_stack(
            group,
            self.plan.selection,
            proven.parity,
            stack,
            reference=proven.references[checks.SAME_AS.get(part, part)],
            written=written,
        )
        for check in found:
            self._record("check", model=group.model, check=to_json(check))

    def _refused(self, group: Group) -> Callable[[Stack], bool]:
        return lambda stack: str(stack) in self.ledger.refused(group.model)

    def _record(self, kind: str, **data: Any) -> None:
        self.append(kind, **data)
        self.ledger.add({"kind": kind, **data})

    def _assembled(self, *, interrupted: bool = False) -> Run:
        return assemble(self.plan, self.ledger, self.header, interrupted=interrupted)


def _unchecked(stack: Stack, part: str, _written: Path) -> None:
    raise RuntimeError(f"{stack}: {part} was to be checked before the first launch was timed")


class Purse:
    """The time a run may still take; a launch is taken to cost what the last of its model did."""

    def __init__(self, budget_s: float | None, spent_s: float, began: float) -> None:
        self.limited = budget_s is not None
        self._until = math.inf if budget_s is None else began + budget_s - spent_s
        self._last_s: dict[str, float] = {}

    def allows(self, group: Group) -> bool:
        """Whether another launch of this model is likely to fit."""
        return time.monotonic() + self._last_s.get(group.model, 0.0) <= self._until

    @contextmanager
    def paying(self, group: Group) -> Iterator[None]:
        """Remember how long a launch took."""
        began = time.monotonic()
        yield
        self._last_s[group.model] = time.monotonic() - began
