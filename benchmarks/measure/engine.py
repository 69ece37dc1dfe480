"""What a run measures, in order: proofs and launches, launches where a call is near, profiles.

The parent imports no framework and blocks while workers run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.machine import scratch
from benchmarks.measure.launches.launch import Checks, Launcher
from benchmarks.measure.launches.rounds import Gate
from benchmarks.measure.launches.workers import Context
from benchmarks.measure.schedule import todo
from benchmarks.measure.schedule.left import FEWEST, allows, by_need, near
from benchmarks.measure.schedule.stopping import widest
from benchmarks.measure.schedule.todo import Step, groups, launches_made
from benchmarks.measure.session import Session
from benchmarks.proof.group import Handoff, NoneLeftError, handoffs, proof
from benchmarks.request.plan import Group, Plan
from benchmarks.results.profiles import StepProfile
from benchmarks.results.records import Failure, MatchupResult, Status
from benchmarks.results.stored.codec import to_json
from benchmarks.worker.process import WorkerError
from profilers.gpu import gpu_state

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

    Every model is proven before its first launch and has that launch before any has its second one.
    A launch gives one event after the other, and each is recorded before it goes on. What a worker
    does wrong costs its cases; an engine that cannot run the proof costs its own cases of a model.

    Raises:
        KeyboardInterrupt: it was interrupted; what was measured before is recorded.
        JournalError: an event could not be written.
    """
    found: dict[str, Checks] = {}
    with (
        scratch.folder("cache") as cache,
        gpu_state.Reader() as gpu,
    ):
        selection = session.plan.selection
        context = Context(
            means=session.means,
            selection=selection,
            effort=session.plan.effort,
            threads=session.threads,
            cache=cache,
            gate=Gate(
                pause=session.means.pause,
                causes=session.means.causes,
                gpu=gpu if selection.device == "cuda" else None,
            ),
        )
        for group in session.plan.groups:
            for lost in _broken(session, group):
                session.record("failure", **lost)
        for step in _steps(session):
            try:
                with _checks(session, step, found) as checks:
                    left = todo.without_failed(session, step)
                    if not checks.handoffs or not left:
                        continue  # the proof failed, and the journal says how
                    launch = Launcher(context, left.group, left.index, left.wanted, checks)
                    with closing(launch.events()) as events:
                        for kind, data in events:
                            session.record(kind, **data)
            except NoneLeftError as error:
                _record_lost(session, step.group, error.lost)
        for group in session.plan.groups:
            session.record("concluded", model=group.name)
    _profile(session, profiler, found)


def _steps(session: Session) -> Iterator[Step]:
    """The launches of the effort, as far as time allows; then more, where they help most.

    The first ``FEWEST`` are made whatever the budget. Where it does not suffice for all of the
    others, models with most comparisons without a call come first.
    """
    limited = session.plan.selection.limit_s is not None
    for index in range(session.plan.effort.launches):
        for group in by_need(session) if limited and index >= FEWEST else groups(session.plan):
            made = todo.step(session, group, index)
            if made and (index < FEWEST or allows(session, made)):
                yield made
    while more := _more(session):
        yield more


def _more(session: Session) -> Step | None:
    """One more launch, as far as was asked and time allows; ``None`` where none would help.

    It is of the model whose nearest call costs least.
    """
    chosen = session.plan.selection
    if chosen.until_ci:
        return _widest(session, chosen.until_ci)
    if not chosen.seeks_calls:
        return None
    return min(near(session), key=lambda each: each[1], default=(None, 0.0))[0]


def _widest(session: Session, target: float) -> Step | None:
    """A launch of what is widest."""
    results = {r.matchup: r for r in session.run().matchups}
    left = [group for group in groups(session.plan) if group.stacks]
    made = {group.name: launches_made(session, group) for group in left}
    while wide := widest(left, results, made, target):
        found = todo.step(session, wide.group, made[wide.group.name])
        narrowed = found and found.only(wide.matchups)
        if narrowed and allows(session, narrowed):
            return narrowed
        left.remove(wide.group)  # all that is wide has failed, or there is no time
    return None


@contextmanager
def _checks(session: Session, step: Step, found: dict[str, Checks]) -> Iterator[Checks]:
    """What a launch is held against; the twins are proven where not all was checked yet."""
    group, chosen = step.group, session.plan.selection
    checks = found.get(group.name)
    if checks and checks.suffice(chosen, step.wanted):
        yield checks
        return
    session.record("proving", model=group.name)
    with proof(group, chosen, session.means.start) as proven:
        _record_lost(session, group, proven.lost)
        done = checks.done if checks else set()
        found[group.name] = checks = Checks(proven, proven.handoffs, done)
        session.record("proof", model=group.name, parity=to_json(proven.parity))
        yield checks
    checks.proven = None


def _profile(session: Session, profiler: Profiler | None, found: dict[str, Checks]) -> None:
    """What steps are made of, where that was asked: after all turns, and never a sample."""
    budget_s = session.plan.selection.budget_s
    for group, result in _unprofiled(session, profiler):
        session.record("profiling", model=group.name, matchup=result.matchup.id)
        made = StepProfile(reason="the budget was spent")
        if profiler and (budget_s is None or session.seconds < budget_s):
            given = _handoffs(session, group, found)
            made = profiler.document(session.plan, group, result, session.threads, given)
        session.record("profile", matchup=result.matchup.id, profile=to_json(made))


def _record_lost(session: Session, group: Group, lost: Mapping[str, WorkerError]) -> None:
    """A proof that an engine could not run costs all its cases of a model, but refutes nothing."""
    for engine, error in lost.items():
        stacks = tuple(s for s in group.stacks if session.plan.selection.engine(s) == engine)
        reason = f"the proof could not run: {error.reason}"
        of_engine = replace(group, stacks=stacks)
        for data in _every_case(of_engine, error.status, reason, error.failure):
            session.record("failure", **data)


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


def _handoffs(session: Session, group: Group, found: dict[str, Checks]) -> Handoffs:
    """What the proof found of each engine; found anew where this run has not proven it."""
    if group.name not in found:
        able = next(g for g in groups(session.plan) if g.name == group.name)
        made, _ = handoffs(able, session.plan.selection, session.means.start)
        found[group.name] = Checks(handoffs=made)
    return found[group.name].handoffs


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
