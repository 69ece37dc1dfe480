"""The A/A floor: how far from 1 the ratio of a stack to itself comes out on this machine.

A margin below it would call differences that are none. It is taken through the pipeline that takes
the verdicts: the same workers, turns, launches and statistics. All comparisons that a machine has
made are kept, and the floor rests on all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.machine import environment
from benchmarks.measure.calibration import side
from benchmarks.measure.session import Session
from benchmarks.request import discovery
from benchmarks.request.plan import Plan
from benchmarks.request.selection import EFFORTS, Selection, Variant
from benchmarks.results import special
from benchmarks.results.machine import Floor
from benchmarks.results.records import COLD, Run, Stack, Verdict
from benchmarks.results.stored import files, journal
from benchmarks.results.stored.codec import RecordError, decode, encode
from benchmarks.results.wording import busy_words, floor_words

STORE = "floors"
FOLDER = "selftest"
"""Below the folder of the runs: a run of a stack against itself is no part of their history."""
COPIES = ("a", "b")
PREFERRED = ("train_step", "forward")
"""What a change of settings is tried in: the first of these that there is."""
SHARE = 0.95
"""Of the comparisons of a stack with itself that lie below the floor."""
CONFIDENCE = 0.95
FARTHEST = math.log(1000)
"""What a stack's distance from itself may be in a stored comparison: more is no measurement."""
ENOUGH = 20
"""Comparisons below which a run measures more of them first."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a run has shown on a day: |ln ratio| of each comparison of a stack with itself."""

    date: str
    logs: tuple[float, ...]


def label(share: float) -> str:
    """The label of a copy slowed by a share of its time."""
    return f"slow{100 * share:g}"


def selection(
    chosen: Selection, stacks: Iterable[Stack], slowed: Sequence[float] = ()
) -> Selection:
    """What measures stacks against themselves, and against copies slowed by these shares."""
    variants = (
        *(Variant(label=copy) for copy in COPIES),
        *(Variant(label=label(share), slow=share) for share in slowed),
    )
    names = tuple(f"{stack.plain}@{v.label}" for stack in stacks for v in variants)
    return replace(
        chosen,
        stacks=names,
        variants=variants,
        shard=None,
        only=(),
        profile=False,
        telemetry=False,
    )


def against_itself(run: Run) -> list[Verdict]:
    """The verdicts of a stack's first copy on its second, where both could be compared.

    Those of cold starts, which have launches of their own number, are left out.
    """
    pairs = tuple(f"@{copy}" for copy in COPIES)
    return [
        v
        for result in run.matchups
        for v in result.verdicts
        if result.matchup.phase != COLD
        and v.ratio is not None
        and v.a.endswith(pairs[0])
        and v.b.endswith(pairs[1])
        and Stack.parse(v.a).plain == Stack.parse(v.b).plain
    ]


def estimate(verdicts: Sequence[Verdict]) -> float | None:
    """The 95th percentile of |ln ratio| as a share; busy comparisons are left out."""
    logs = _distances(verdicts)
    return _percentile(logs) if logs else None


def _distances(verdicts: Sequence[Verdict]) -> list[float]:
    """The |ln ratio| of the comparisons beside which the machine was quiet."""
    return [abs(math.log(v.ratio)) for v in verdicts if v.ratio is not None and not v.busy]


def _percentile(logs: Sequence[float]) -> float:
    """Of fewer than ``ENOUGH`` comparisons, that of Student's t with their root mean square.

    So many of those to come lie below it, if ln ratio is normal about 0; below the percentile of a
    few values lie fewer: below the largest of 4, four fifths.
    """
    if len(logs) >= ENOUGH:
        return math.expm1(float(np.percentile(logs, 100 * SHARE)))
    scale = math.sqrt(float(np.mean(np.square(logs))))
    return math.expm1(scale * float(special.stdtrit(len(logs), (1 + SHARE) / 2)))


def interval(logs: Sequence[float]) -> tuple[float, float | None]:
    """The 95 % interval of the 95th percentile of |ln ratio|, as shares.

    From the order of the values alone: so many of ``n`` lie below the percentile as successes in
    ``n`` draws of probability 0.95 (Conover, Practical Nonparametric Statistics, 3.2). The upper
    end is ``None`` where even the largest value may lie below: with fewer than 72.
    """
    ends, count = sorted(map(math.expm1, logs)), len(logs)
    # The chance of at most 0, 1, … values below it.
    below = special.bdtr(np.arange(count), count, SHARE)
    low = int(np.searchsorted(below, (1 - CONFIDENCE) / 2, side="right"))
    high = int(np.searchsorted(below, (1 + CONFIDENCE) / 2))
    return ends[low - 1] if low else 0.0, ends[high] if high < count else None


def lookup(out: Path, chosen: Selection) -> Floor | None:
    """What was shown so far on this machine, with its frameworks, by how they are measured."""
    pool = _pool(out, chosen)
    return _told(pool, chosen) if pool else None


def store(out: Path, chosen: Selection, runs: Sequence[Run]) -> Floor:
    """Add the comparisons of some runs to what is known; the floor as run.json holds it.

    A run that was added before is not counted twice. Where nothing is known nothing is kept.
    """
    pool, busy = _pool(out, chosen), 0
    for run in runs:
        same = against_itself(run)
        busy += sum(verdict.busy for verdict in same)
        if logs := _distances(same):
            pool[run.run_id] = Shown(f"{datetime.now(UTC):%Y-%m-%d}", tuple(logs))
    if not pool:
        return Floor(how=busy_words(busy)) if busy else Floor()
    journal.store(_file(out, chosen), encode(pool))
    return _told(pool, chosen)


def _pool(out: Path, chosen: Selection) -> dict[str, Shown]:
    """What is stored, by run; a damaged file is as good as none: a floor is soon made anew."""
    try:
        pool = decode(dict[str, Shown], files.read(_file(out, chosen)))
    except (OSError, RecordError):
        return {}
    sound = all(s.logs and min(s.logs) >= 0 and max(s.logs) <= FARTHEST for s in pool.values())
    return pool if sound else {}


def _told(pool: Mapping[str, Shown], chosen: Selection) -> Floor:
    """The floor of all comparisons, and how it was found."""
    logs = [log for shown in pool.values() for log in shown.logs]
    dates = sorted(shown.date for shown in pool.values())
    ci95 = interval(logs)
    return Floor(
        value=_percentile(logs),
        ci95=ci95,
        comparisons=len(logs),
        oldest=dates[0],
        newest=dates[-1],
        how=floor_words(len(logs), chosen.effort, (dates[0], dates[-1]), ci95),
    )


def obtain(session: Session) -> Floor:
    """The floor of all that this machine has shown; where that is little, more is measured first.

    More means: one stack of each framework against itself, in the phases of a model that need no
    epoch. The models take turns from run to run.
    """
    chosen = session.plan.selection
    pool = _pool(session.out, chosen)
    known = sum(len(shown.logs) for shown in pool.values())
    small = _small(session.plan, len(pool)) if known < ENOUGH else None
    if small is None:
        return lookup(session.out, chosen) or Floor()
    why = "the A/A floor: how far apart equal stacks come out here"
    return store(session.out, chosen, [side.needed(session, "floor", small, FOLDER, why)])


def _small(made: Plan, turn: int) -> Selection | None:
    if not made.groups:
        return None
    group = made.groups[turn % len(made.groups)]
    able: dict[str, Stack] = {}
    for stack in group.stacks:
        if not stack.label and not made.lacking(group.model, stack):
            able.setdefault(stack.framework, stack)
    there = [p for p in group.phases() if p != COLD]
    phases = [p for p in there if p != "epoch"] or there[:1]
    if not able or not phases:
        return None
    # As many launches as the effort has, whatever the run itself may stop by.
    asked = replace(
        made.selection_of(group),
        phases=tuple(phases),
        launches=EFFORTS[made.selection.effort].launches,
        until_ci=None,
        budget_s=None,
    )
    return selection(asked, able.values())


def _file(out: Path, chosen: Selection) -> Path:
    """Where the floor of a selection is kept: by machine, settings, frameworks and versions."""
    stacks = [Stack.parse(name) for name in chosen.stacks] or discovery.default_stacks()
    of = {stack.framework for stack in stacks}
    name = environment.key(of, chosen.device, chosen.precision, chosen.effort, chosen.policy)
    return out / STORE / f"{name}.json"
