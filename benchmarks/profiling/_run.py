"""The op profiles of a run that asks for them: ``--profile``."""

from __future__ import annotations

from typing import Any

from benchmarks.plan import Group, Plan
from benchmarks.profiling import _document, _profile
from benchmarks.profiling._subject import Subject
from benchmarks.records import MatchupResult, Stack

PHASES = ("forward", "backward", "train_step")
STEPS = 5
MOST_ROWS = 30
"""Rows that a run keeps of each stack, the largest; the lines of a comparison are all kept."""


def document(plan: Plan, group: Group, result: MatchupResult, threads: int) -> dict[str, Any]:
    """What the steps of a matchup's sound stacks are made of; a reason where that failed."""
    stacks = tuple(Stack.parse(case.stack) for case in result.cases if case.status == "ok")
    if not stacks:
        return {"reason": "no stack of this matchup was timed"}
    subject = Subject(
        plan=plan,
        group=group,
        matchup=result.matchup,
        stacks=stacks,
        lacking={},
        threads=threads,
        held=True,
    )
    profiles, failed = _profile.take_all(subject, stacks, steps=STEPS)
    if not profiles:
        return {"reason": "; ".join(f"{stack}: {why}" for stack, why in failed.items())}
    return _document.of(subject, profiles, most=MOST_ROWS) | {"failed": failed}
