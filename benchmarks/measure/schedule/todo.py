"""What a run still has to measure, launch by launch."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.request.plan import Group, Plan
from benchmarks.results.records import Matchup, Stack

if TYPE_CHECKING:
    from benchmarks.measure.session import Session


@dataclass(frozen=True, slots=True)
class Step:
    """A launch of a group; ``wanted`` maps each matchup still to be measured to its stacks."""

    group: Group
    index: int
    wanted: dict[Matchup, tuple[Stack, ...]]

    def only(self, matchups: Collection[Matchup]) -> Step | None:
        """The same launch of these matchups alone; ``None`` where it wants none of them."""
        wanted = {m: stacks for m, stacks in self.wanted.items() if m in matchups}
        return replace(self, wanted=wanted) if wanted else None


def groups(plan: Plan) -> list[Group]:
    """The groups with those of their stacks that can run here."""
    return [
        replace(g, stacks=tuple(s for s in g.stacks if not plan.lacking(g.model, s)))
        for g in plan.groups
    ]


def step(session: Session, group: Group, index: int) -> Step | None:
    """What a launch still has to measure: not what is done, and nothing that failed before."""
    ledger, cold = session.ledger, session.plan.effort.cold_launches
    refused = ledger.refused(group.name)
    wanted = {
        matchup: tuple(
            s
            for s in group.stacks
            if str(s) not in refused and not ledger.done(matchup, s, index, cold)
        )
        for matchup in group.matchups
    }
    wanted = {matchup: stacks for matchup, stacks in wanted.items() if stacks}
    return Step(group, index, wanted) if wanted else None


def without_failed(session: Session, step: Step) -> Step | None:
    """A launch without the cases that have failed since; ``None`` where none is left."""
    failures = session.ledger.failures
    sound = {
        matchup: tuple(s for s in stacks if (matchup.id, str(s)) not in failures)
        for matchup, stacks in step.wanted.items()
    }
    wanted = {matchup: stacks for matchup, stacks in sound.items() if stacks}
    return replace(step, wanted=wanted) if wanted else None


def planned(session: Session) -> Iterator[Step]:
    """The launches of the effort that are not made: the first of every model, then the second."""
    for index in range(session.plan.effort.launches):
        for group in groups(session.plan):
            if found := step(session, group, index):
                yield found


def launches_made(session: Session, group: Group) -> int:
    """How many launches of a group were begun, those that failed included."""
    made = (session.ledger.launches.get(m.id, {}) for m in group.matchups)
    return max((index + 1 for launches in made for index in launches), default=0)
