"""Runs of one matchup whose times are chosen, in a store of their own: a history to judge."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.results import statistics
from benchmarks.results.machine import Environment
from benchmarks.results.observed import Interference
from benchmarks.results.records import Case, Launch, Matchup, MatchupResult, Run, Status
from tests import report_samples as samples

if TYPE_CHECKING:
    from pathlib import Path

MATCHUP = Matchup(model="mlp", phase="forward", batch=8)
A, B = "torch-eager", "tensorflow-graph"
CASE_A, CASE_B = MATCHUP.case_id(A), MATCHUP.case_id(B)
RATIO = f"{MATCHUP.id} {A} {B}"
START = datetime(2026, 1, 1, tzinfo=UTC)
CANARY_S = 0.001
NOISE = 0.003


def case(
    stack: str, middle_s: float, rng: random.Random, canary_s: float | None, count: int
) -> Case:
    """A case whose launches differ by a little noise."""
    launches = []
    for index in range(count):
        base = middle_s * math.exp(rng.gauss(0, NOISE))
        launches.append(
            Launch(
                index=index,
                samples_s=tuple(base * math.exp(rng.gauss(0, NOISE)) for _ in range(5)),
                interference=None if canary_s is None else Interference(canary_s=canary_s),
            )
        )
    return Case(id=MATCHUP.case_id(stack), stack=stack, status="ok", launches=tuple(launches))


def result(*cases: Case, matchup: Matchup = MATCHUP) -> MatchupResult:
    """The matchup, with the verdict that the launches of its cases give."""
    verdicts = (statistics.compare(*cases, margin=0.02),) if len(cases) == 2 else ()
    return MatchupResult(matchup=matchup, parity=samples.parity(), cases=cases, verdicts=verdicts)


def run(
    number: int,
    a_s: float = 0.010,
    b_s: float = 0.020,
    *,
    canary_s: float | None = CANARY_S,
    count: int = 3,
    **changes: object,
) -> Run:
    """The ``number``-th run, an hour after the one before."""
    rng = random.Random(number)  # noqa: S311  plausible times, no secrets
    when = START + timedelta(hours=number)
    cases = (case(A, a_s, rng, canary_s, count), case(B, b_s, rng, canary_s, count))
    fields: dict[str, object] = {
        "run_id": f"{when:%Y%m%dT%H%M%SZ}-{number % 0x10000:04x}",
        "started": f"{when:%Y-%m-%dT%H:%M:%SZ}",
    }
    return samples.run((result(*cases),), **(fields | changes))


def failed(made: Run, stack: str = B, status: Status = "crash") -> Run:
    """The same run with one case lost."""
    (found,) = made.matchups
    cases = tuple(
        replace(c, status=status, reason="it died", launches=()) if c.stack == stack else c
        for c in found.cases
    )
    return replace(made, matchups=(result(*cases),), exit=3)


def environment(**changes: Any) -> Environment:
    """That of the samples, changed."""
    return replace(samples.environment(), **changes)


def store(out: Path, *runs: Run) -> Path:
    """Write runs below ``out``; returns it."""
    for made in runs:
        samples.write(out / made.run_id, made)
    return out
