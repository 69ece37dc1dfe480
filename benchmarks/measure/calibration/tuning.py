"""The policy ``best``: each stack with what was measured to make it faster, model by model.

A guide says what often helps; whether it does here, for this model, is a measurement as any other:
interleaved, over launches, and believed where its interval clears the margin. Else the stack stays
as its users get it.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.machine import environment
from benchmarks.measure.calibration import side
from benchmarks.measure.calibration.floor import PREFERRED
from benchmarks.measure.session import Session
from benchmarks.request import changes
from benchmarks.request.plan import Group, Plan
from benchmarks.request.selection import EFFORTS, Selection, Variant
from benchmarks.results import statistics
from benchmarks.results.machine import Tuned
from benchmarks.results.records import Run, Stack

FOLDER = "tuning"
"""Below the folder of the runs: a search for settings is no part of their history."""
Candidates = dict[Stack, list[Variant]]


def obtain(session: Session) -> list[Tuned]:
    """What the stacks of a run are tuned to; nothing where its policy does not ask for that.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    made, tuned = session.plan, list[Tuned]()
    if made.selection.policy != "best":
        return tuned
    for group in made.groups:
        candidates = _candidates(made, group)
        chosen = selection(made, group, candidates)
        if chosen:
            why = f"what makes each stack of {group.name} faster"
            run = side.needed(session, f"tuned {group.name}", chosen, FOLDER, why)
            tuned += fastest(run, group.name, candidates)
    return tuned


def _candidates(made: Plan, group: Group) -> Candidates:
    cores = environment.usable_cores()
    return {
        stack: changes.possible(stack, group.task, made.selection, cores)
        for stack in group.stacks
        if not made.lacking(group.model, stack)
    }


def selection(made: Plan, group: Group, candidates: Candidates) -> Selection | None:
    """What times each stack beside its changed selves; ``None`` where there is nothing to try."""
    phase = next((p for p in PREFERRED if p in group.phases()), None)
    new = [variant for variants in candidates.values() for variant in variants]
    if phase is None or not new:
        return None
    asked = made.selection_of(group)
    named = [str(n) for stack, tried in candidates.items() for n in (stack, *_as(stack, tried))]
    return replace(
        asked,
        phases=(phase,),
        stacks=tuple(named),
        variants=tuple(dict.fromkeys((*asked.variants, *new))),
        shard=None,
        only=(),
        launches=EFFORTS[asked.effort].launches,
        until_ci=None,
        budget_s=None,
        profile=False,
        telemetry=False,
    )


def _as(stack: Stack, variants: list[Variant]) -> list[Stack]:
    return [replace(stack, label=variant.label) for variant in variants]


def fastest(run: Run, model: str, candidates: Candidates) -> list[Tuned]:
    """Of each stack the change that made it fastest, where any clearly did."""
    cases = {case.stack: case for result in run.matchups for case in result.cases}
    found = list[Tuned]()
    for stack, variants in candidates.items():
        tried = list[Tuned]()
        for variant, name in zip(variants, _as(stack, variants), strict=True):
            verdict = statistics.compare(cases[str(name)], cases[str(stack)], statistics.MIN_MARGIN)
            if verdict.verdict == "faster" and verdict.ratio and verdict.ci95:
                tried.append(
                    Tuned(
                        model=model,
                        stack=str(stack),
                        layout=variant.layout,
                        threads=variant.threads,
                        ratio=verdict.ratio,
                        ci95=verdict.ci95,
                    )
                )
        found += sorted(tried, key=lambda one: -one.ratio)[:1]
    return found
