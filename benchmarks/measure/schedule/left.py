"""What of a run is left: which launches its time allows, and how long it will go on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from benchmarks.measure.schedule import stopping, todo
from benchmarks.measure.schedule.todo import Step, groups, launches_made, planned
from benchmarks.measure.session import Session
from benchmarks.request.plan import Group
from benchmarks.results.wording import headline

FEWEST = 2
"""Launches that are made whatever the budget: without two there is no interval."""


def remaining_s(session: Session) -> float:
    """What is left of the budget, in seconds; infinite where there is none."""
    limit_s = session.plan.selection.limit_s
    return math.inf if limit_s is None else limit_s - session.seconds


def allows(session: Session, step: Step) -> bool:
    """Whether a launch is likely to end within the budget."""
    return session.pace.step_s(step) <= remaining_s(session)


def by_need(session: Session) -> list[Group]:
    """The groups that can be measured, those with most comparisons without a call first."""
    names = {m: group.name for group in session.plan.groups for m in group.matchups}
    uncalled = Counter(
        names[result.matchup]
        for result in session.run().matchups
        for verdict in headline(result)
        if verdict.verdict == "no call"
    )
    return sorted(groups(session.plan), key=lambda group: -uncalled[group.name])


def near(session: Session) -> Iterator[tuple[Step, float]]:
    """The launches that bring a call nearer, one of each group whose nearest call fits the budget.

    With each the seconds that the nearest of its calls is expected to need.
    """
    left_s = remaining_s(session)
    results = {result.matchup: result for result in session.run().matchups}
    able = [group for group in groups(session.plan) if group.stacks]
    made = {group.name: launches_made(session, group) for group in able}
    for found in stopping.nearest(able, results, made):
        step = todo.step(session, found.group, made[found.group.name])
        step = step and step.only(found.missing)
        if step is None:
            continue  # all that is open has failed
        fewest = min(count for m, count in found.missing.items() if m in step.wanted)
        needed_s = fewest * session.pace.step_s(step)
        if needed_s <= left_s:
            yield step, needed_s


def seconds(session: Session) -> float | None:
    """How long the launches of the effort will go on; ``None`` while that can only be guessed.

    Beyond the first ``FEWEST`` that is no more than what the budget leaves.
    """
    if not session.pace.known:
        return None
    steps = [(step.index, session.pace.step_s(step)) for step in planned(session)]
    sure_s = sum(each_s for index, each_s in steps if index < FEWEST)
    return max(sure_s, min(sum(each_s for _, each_s in steps), remaining_s(session)))
