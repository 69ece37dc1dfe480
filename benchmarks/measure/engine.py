"""What a run measures, in order: proofs, launches, launches where intervals are wide, profiles.

The parent imports no framework and blocks while workers run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.machine import scratch
from benchmarks.measure.launch import Checks, Launch
from benchmarks.measure.rounds import Gate
from benchmarks.measure.session import Session
from benchmarks.measure.stopping import TARGET, Wide, widest
from benchmarks.measure.workers import Context
from benchmarks.proof.group import Handoff, handoffs, proof
from benchmarks.request.plan import Group, Plan
from benchmarks.results.codec import to_json
from benchmarks.results.profiles import StepProfile
from benchmarks.results.records import Failure, Matchup, MatchupResult, Stack, Status
from benchmarks.worker.process import WorkerError
from profilers import gpu_state

FEWEST = 2
"""Launches that are made whatever the budget: without two there is no interval."""
Handoffs = Mapping[str, Handoff]
"""What the proof found, by engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiler:
    """Records what the steps of a matchup are made of, in the phases for which it can.

    ``document`` is given the plan, the group, the matchup's result, the threads and what the proof
    found of each engine; it says why where there is none.
    """

    phases: Collection[str]
    document: Callable[[Plan, Group, MatchupResult, int, Mapping[str, Handoff]], StepProfile]


def measure(session: Session, profiler: Profiler | None = None) -> None:
    """Measure what the journal of a session lacks.

    A launch gives one event after the other, and each is recorded before it goes on. What a worker
    does wrong costs its cases; a proof that cannot run costs the cases of its model.

    Raises:
        KeyboardInterrupt: it was interrupted; what was measured before is recorded.
        JournalError: an event could not be written.
    """
    plan, effort = session.plan, session.plan.effort
    purse = Purse(plan.selection.budget_s, session.header.seconds, session.began)
    found: dict[str, Handoffs] = {}
    with (
        scratch.folder("cache") as cache,
        gpu_state.Watch() as gpu,
    ):
        context = Context(
            selection=plan.selection,
            effort=effort,
            threads=session.threads,
            cache=cache,
            gate=Gate(gpu=gpu if plan.selection.device == "cuda" else None),
        )
        for group in plan.groups:
            for lost in _broken(session, group):
                session.record("failure", **lost)
            able = _able(plan, group)
            if any(_wanted(session, able, index) for index in range(effort.launches)):
                session.record("proving", model=group.model)
                try:
                    with proof(able, plan.selection) as proven:
                        found[group.model] = proven.handoffs
                        parity = to_json(proven.parity)
                        session.record("proof", model=group.model, parity=parity)
                        checks = Checks(proven)
                        for index in range(effort.launches if proven.references else 0):
                            wanted = _wanted(session, able, index)
                            if not wanted or (index >= FEWEST and not purse.allows(group)):
                                continue
                            launch = Launch(context, able, index, wanted, checks)
                            with purse.paying(group), closing(launch.events()) as events:
                                for kind, data in events:
                                    session.record(kind, **data)
                except WorkerError as error:
                    for data in _unproven(able, error):
                        session.record("failure", **data)
            session.record("concluded", model=group.model)
        _narrow(session, context, purse, found)
    _profile(session, profiler, purse, found)


def _narrow(session: Session, context: Context, purse: Purse, found: dict[str, Handoffs]) -> None:
    """More launches where the intervals are widest, as far as was asked and time allows."""
    while wide := _widest(session, purse):
        group = wide.group
        wanted = {m: s for m, s in _next(session, group).items() if m in wide.matchups}
        checks = Checks(handoffs=_handoffs(session, group, found))
        launch = Launch(context, group, _launches_made(session, group), wanted, checks)
        with purse.paying(group), closing(launch.events()) as events:
            for kind, data in events:
                session.record(kind, **data)


def _profile(
    session: Session, profiler: Profiler | None, purse: Purse, found: dict[str, Handoffs]
) -> None:
    """What steps are made of, where that was asked: after all turns, and never a sample."""
    for group, result in _unprofiled(session, profiler):
        session.record("profiling", model=group.model, matchup=result.matchup.id)
        made = StepProfile(reason="the budget was spent")
        if profiler and purse.allows(group):
            given = _handoffs(session, group, found)
            made = profiler.document(session.plan, group, result, session.threads, given)
        session.record("profile", matchup=result.matchup.id, profile=to_json(made))


def _able(plan: Plan, group: Group) -> Group:
    """The group with those of its stacks that can run here."""
    stacks = tuple(s for s in group.stacks if not plan.lacking(group.model, s))
    return replace(group, stacks=stacks)


def _wanted(session: Session, group: Group, index: int) -> dict[Matchup, tuple[Stack, ...]]:
    """What a launch still has to measure: not what is done, and nothing that failed before."""
    ledger, cold = session.ledger, session.plan.effort.cold_launches
    refused = ledger.refused(group.model)
    wanted = {
        matchup: tuple(
            s
            for s in group.stacks
            if str(s) not in refused and not ledger.done(matchup, s, index, cold)
        )
        for matchup in group.matchups
    }
    return {matchup: stacks for matchup, stacks in wanted.items() if stacks}


def _unproven(group: Group, error: WorkerError) -> Iterator[dict[str, Any]]:
    """A proof that could not run costs every case of its model, but refutes nothing."""
    reason = f"the proof could not run: {error.reason}"
    return _every_case(group, error.status, reason, error.failure)


def _broken(session: Session, group: Group) -> list[dict[str, Any]]:
    """A model that cannot be had costs every case of it, once."""
    error = session.plan.broken.get(group.model)
    if error is None:
        return []
    every = _every_case(group, error.status, str(error), Failure())
    return [one for one in every if (one["matchup"], one["stack"]) not in session.ledger.failures]


def _every_case(
    group: Group, status: Status, reason: str, failure: Failure
) -> Iterator[dict[str, Any]]:
    for matchup in group.matchups:
        for stack in group.stacks:
            yield {
                "matchup": matchup.id,
                "stack": str(stack),
                "launch": None,
                "status": status,
                "reason": reason,
                "failure": to_json(failure),
            }


def _widest(session: Session, purse: Purse) -> Wide | None:
    """Where one more launch helps most, as far as was asked and time allows."""
    target = session.plan.selection.until_ci or (TARGET if purse.limited else math.inf)
    if math.isinf(target):
        return None
    groups = [_able(session.plan, group) for group in session.plan.groups]
    results = {r.matchup: r for r in session.run().matchups}
    made = {group.model: _launches_made(session, group) for group in groups}
    left = [group for group in groups if group.stacks and purse.allows(group)]
    while wide := widest(left, results, made, target):
        if any(matchup in wide.matchups for matchup in _next(session, wide.group)):
            return wide
        left.remove(wide.group)  # all that is wide has failed
    return None


def _next(session: Session, group: Group) -> dict[Matchup, tuple[Stack, ...]]:
    """What a launch beyond those made would measure."""
    return _wanted(session, group, _launches_made(session, group))


def _launches_made(session: Session, group: Group) -> int:
    made = (session.ledger.launches.get(m.id, {}) for m in group.matchups)
    return max((index + 1 for launches in made for index in launches), default=0)


def _handoffs(session: Session, group: Group, found: dict[str, Handoffs]) -> Handoffs:
    """What the proof found of each engine; found anew where this run has not proven it."""
    if group.model not in found:
        found[group.model], _ = handoffs(_able(session.plan, group), session.plan.selection)
    return found[group.model]


def _unprofiled(
    session: Session, profiler: Profiler | None
) -> Iterator[tuple[Group, MatchupResult]]:
    """The matchups of which a profile was asked for and is not made: after all turns."""
    if profiler is None or not session.plan.selection.profile:
        return
    results = {r.matchup: r for r in session.run().matchups}
    for group in session.plan.groups:
        for matchup in group.matchups:
            if matchup.phase in profiler.phases and matchup.id not in session.ledger.profiles:
                yield group, results[matchup]


class Purse:
    """The time a run may still take; a launch is taken to cost what the last of its model did."""

    def __init__(self, budget_s: float | None, spent_s: float, began: float | None) -> None:
        self.limited = budget_s is not None
        self._until = math.inf
        if budget_s is not None:
            began = time.monotonic() if began is None else began
            self._until = began + budget_s - spent_s
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
