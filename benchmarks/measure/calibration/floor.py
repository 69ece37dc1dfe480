"""The A/A floor: how far from 1 the ratio of a stack to itself comes out on this machine.

A margin below it would call differences that are none. It is taken through the pipeline that takes
the verdicts: the same workers, turns, launches and statistics.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.machine import environment
from benchmarks.measure.calibration import side
from benchmarks.measure.session import Session
from benchmarks.request import discovery
from benchmarks.request.plan import Plan
from benchmarks.request.selection import Selection, Variant
from benchmarks.results import files, journal
from benchmarks.results.codec import RecordError, decode, encode
from benchmarks.results.machine import Floor
from benchmarks.results.records import COLD, Run, Stack, Verdict

STORE = "floors"
FOLDER = "selftest"
"""Below the folder of the runs: a run of a stack against itself is no part of their history."""
COPIES = ("a", "b")
PREFERRED = ("train_step", "forward")
PERCENTILE = 95.0


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
    """The verdicts of a stack's first copy on its second, where both could be compared."""
    pairs = tuple(f"@{copy}" for copy in COPIES)
    return [
        v
        for result in run.matchups
        for v in result.verdicts
        if v.ratio is not None
        and v.a.endswith(pairs[0])
        and v.b.endswith(pairs[1])
        and Stack.parse(v.a).plain == Stack.parse(v.b).plain
    ]


def estimate(verdicts: Sequence[Verdict]) -> float | None:
    """The 95th percentile of |ln ratio| as a share; busy comparisons are left out."""
    logs = [abs(math.log(v.ratio)) for v in _quiet(verdicts) if v.ratio is not None]
    return math.expm1(float(np.percentile(logs, PERCENTILE))) if logs else None


def _quiet(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return [v for v in verdicts if not v.busy]


def lookup(out: Path, chosen: Selection) -> Floor | None:
    """The floor that is stored for this machine, its frameworks, and how they are measured."""
    try:
        found = decode(Floor, files.read(_file(out, chosen)))
    except (OSError, RecordError):  # a damaged file is as good as none: a floor is soon made anew
        return None
    return found if found.value is not None and 0 <= found.value < math.inf else None


def store(out: Path, chosen: Selection, verdicts: Sequence[Verdict]) -> Floor:
    """Keep a floor, and return it as run.json holds it; where none came out nothing is kept."""
    value = estimate(verdicts)
    if value is None:
        return Floor()
    floor = Floor(
        value=value,
        how=f"95th percentile of {len(_quiet(verdicts))} comparisons of a stack with itself,"
        f" effort {chosen.effort}, {datetime.now(UTC):%Y-%m-%d}",
        comparisons=len(_quiet(verdicts)),
    )
    journal.store(_file(out, chosen), encode(floor))
    return floor


def settle(session: Session) -> Floor:
    """The stored floor of this machine; where there is none a small one is measured first.

    Small means: one stack of each framework against itself, in two phases of the first model.
    """
    chosen = session.plan.selection
    stored = lookup(session.out, chosen)
    if stored:
        return stored
    small = _small(session.plan)
    if small is None:
        return Floor()
    why = "the A/A floor: how far apart equal stacks come out here"
    run = side.needed(session, "floor", small, FOLDER, why)
    return store(session.out, chosen, against_itself(run))


def _small(made: Plan) -> Selection | None:
    if not made.groups:
        return None
    group = made.groups[0]
    able: dict[str, Stack] = {}
    for stack in group.stacks:
        if not stack.label and not made.lacking(group.model, stack):
            able.setdefault(stack.framework, stack)
    there = [p for p in group.phases() if p != COLD]
    phases = [p for p in PREFERRED if p in there] or there[:1]
    if not able or not phases:
        return None
    # As many launches as the effort has, whatever the run itself may stop by: a budget is its own.
    asked = replace(
        made.selection,
        models=(group.model,),
        phases=tuple(phases),
        launches=None,
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
