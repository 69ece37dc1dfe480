"""twinbench itself: copies of one stack in one run, called where the interval clears the margin."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.measure.calibration import detection, floor, side
from benchmarks.measure.progress import Telling
from benchmarks.measure.run import MEANS
from benchmarks.request import plan
from benchmarks.request.selection import Selection, Variant
from benchmarks.results import statistics
from benchmarks.results.records import Run, Stack
from benchmarks.selfcheck import work
from benchmarks.selfcheck.tools._outcome import Outcome

RULE = "interval over launches beyond 2 %"
COPIES = tuple("abcdefgh")
EFFORT = "standard"
LAUNCHES = {"quiet": 10, "busy": 3}
"""Under each condition. Beside a busy process a launch ends with its first disturbed rounds."""
UNTIL = 0.02
PHASES = ("forward", "train_step")
MODELS = (work.MODEL, "simple_cnn")
STACKS = (work.STACK, "tensorflow-graph")
ALONE = 3
"""Comparisons that have the machine to themselves, as the other tools' have."""


def selection(stack: str, slow: float, launches: int) -> Selection:
    """Eight copies of a stack and one that is slower."""
    slower = Variant(label=floor.label(slow), slow=slow)
    variants = (*(Variant(label=copy) for copy in COPIES), slower)
    return Selection(
        models=MODELS,
        phases=PHASES,
        stacks=tuple(f"{stack}@{v.label}" for v in variants),
        variants=variants,
        effort=EFFORT,
        launches=launches,
        telemetry=False,
    )


def measure(slow: float, launches: int, folder: Path) -> tuple[list[Outcome], list[Outcome]]:
    """One run per stack; every pair of equal copies, and every copy against the slower one."""
    same, slowed = list[Outcome](), list[Outcome]()
    for stack in STACKS:
        if plan.make(Selection(stacks=(stack,))).unsupported:
            continue
        run = _run(selection(stack, slow, launches), folder)
        equal, other = pairs(run)
        share_s = run.seconds / max(1, len(equal) + len(other))
        same += [replace(outcome, seconds=share_s) for outcome in equal]
        slowed += [replace(outcome, seconds=share_s) for outcome in other]
    return same, slowed


def alone(folder: Path) -> list[Outcome]:
    """The common work against itself until the interval is ±2 %, everything included."""
    chosen = floor.selection(
        Selection(models=(work.MODEL,), phases=(work.PHASE,), until_ci=UNTIL),
        [Stack.parse(work.STACK)],
    )
    outcomes = []
    for _ in range(ALONE):
        run = _run(chosen, folder)
        outcomes += [replace(outcome, seconds=run.seconds) for outcome in pairs(run)[0]]
    return outcomes


def _run(chosen: Selection, folder: Path) -> Run:
    return side.measured(chosen, folder, Telling(Console(file=io.StringIO())), MEANS)


def pairs(run: Run) -> tuple[list[Outcome], list[Outcome]]:
    """What was called of equal copies, and of copies against the slower one."""
    same, slowed = list[Outcome](), list[Outcome]()
    for result in run.matchups:
        for a, b in itertools.combinations(result.cases, 2):
            verdict = statistics.compare(a, b, statistics.MIN_MARGIN)
            if verdict.ratio is None:
                continue
            outcome = Outcome(called=verdict.verdict in detection.CALLS, ratio=verdict.ratio)
            (same if Stack.parse(b.stack).label in COPIES else slowed).append(outcome)
    return same, slowed
