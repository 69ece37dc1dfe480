"""The op profiles of a run that asks for them: ``--profile``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.measure.engine import Profiler
from benchmarks.request.plan import Group, Plan
from benchmarks.results.profiles import StepProfile
from benchmarks.results.records import MatchupResult, Stack
from benchmarks.why._shared import documents, profiling
from benchmarks.why._shared.subjects import Subject

EXTENT = {
    "forward": (3, 3),
    "first_token": (3, 3),
    "next_token": (3, 3),
    "backward": (3, 3),
    "train_step": (3, 3),
    "epoch": (1, 1),
}
"""Recordings of each stack and steps of each recording, by the phases that are profiled."""
LONG_S = 10.0
"""A step that takes longer fills the memory with its events."""
MOST_ROWS = 30
"""Rows that a run keeps of each stack, the largest; the lines of a comparison are all kept."""


def document(
    plan: Plan,
    group: Group,
    result: MatchupResult,
    threads: int,
    handoffs: Mapping[str, Mapping[str, Any]],
) -> StepProfile:
    """What the steps of a matchup's sound stacks are made of; a reason where that failed."""
    stacks = tuple(Stack.parse(case.stack) for case in result.cases if case.status == "ok")
    if not stacks:
        return StepProfile(reason="no stack of this matchup was timed")
    longest = max(case.median_s or 0.0 for case in result.cases)
    if longest > LONG_S:
        return StepProfile(reason=f"a step of {longest:.0f} s is too long to record")
    subject = Subject(
        plan=plan,
        group=group,
        matchup=result.matchup,
        stacks=stacks,
        lacking={},
        threads=threads,
        handoffs=handoffs,
        layers=result.parity.layers if result.parity else (),
        held=True,
    )
    recordings, steps = EXTENT[result.matchup.phase]
    profiles, failed = profiling.take_all(subject, stacks, steps=steps, recordings=recordings)
    if not profiles:
        reason = "; ".join(f"{stack}: {why}" for stack, why in failed.items())
        return StepProfile(reason=reason)
    return documents.of(subject, profiles, failed, most=MOST_ROWS)


PROFILER = Profiler(phases=EXTENT, document=document)
"""What a run is given that was asked for profiles."""
