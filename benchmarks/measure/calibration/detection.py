"""What the selftest found: false calls, and how often a known slowdown was seen."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

from benchmarks.measure.calibration import floor
from benchmarks.results.records import Run, Verdict

INJECTED = (0.01, 0.02, 0.05, 0.10)
CALLS = ("faster", "slower")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowdown:
    """How often a copy slowed by ``share`` was called slower than an equal one.

    ``ratio`` is the median measured.
    """

    share: float
    comparisons: int
    detected: int
    busy: int
    ratio: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """``called`` of ``comparisons`` of a stack with itself are false calls."""

    comparisons: int
    called: tuple[Verdict, ...]
    busy: int
    floor: float | None
    slowdowns: tuple[Slowdown, ...]
    seconds: float


def shares(text: str) -> tuple[float, ...]:
    """Read ``1,2,5`` as per cent.

    Raises:
        argparse.ArgumentTypeError: not numbers above 0.
    """
    try:
        found = tuple(float(part) / 100 for part in text.split(",") if part)
    except ValueError:
        found = (0.0,)
    if not all(0 < share <= 1 for share in found):
        raise argparse.ArgumentTypeError(f"{text!r}: write per cent from 0 to 100, for example 1,5")
    return found


def summarise(runs: Sequence[Run], injected: Sequence[float]) -> Found:
    """Count over the runs of a selftest."""
    same = [v for run in runs for v in floor.against_itself(run)]
    return Found(
        comparisons=len(same),
        called=tuple(v for v in same if v.verdict in CALLS),
        busy=sum(v.busy for v in same),
        floor=floor.estimate(same),
        slowdowns=tuple(_slowdown(runs, share) for share in injected),
        seconds=sum(run.seconds for run in runs),
    )


def _slowdown(runs: Sequence[Run], share: float) -> Slowdown:
    equal = tuple(f"@{copy}" for copy in floor.COPIES)
    found = [
        v
        for run in runs
        for result in run.matchups
        for v in result.verdicts
        if v.a.endswith(equal) and v.b.endswith(f"@{floor.label(share)}") and v.ratio is not None
    ]
    return Slowdown(
        share=share,
        comparisons=len(found),
        detected=sum(v.verdict == "faster" for v in found),
        busy=sum(v.busy for v in found),
        ratio=median(v.ratio for v in found if v.ratio) if found else None,
    )


def table(found: Found) -> Table:
    """One row for the stacks against themselves, one per slowdown."""
    made = Table(show_edge=False, pad_edge=False)
    for column in ("slowed by", "comparisons", "called", "machine busy", "median ratio"):
        made.add_column(column, justify="right", overflow="fold")
    made.add_row("nothing", str(found.comparisons), str(len(found.called)), str(found.busy), "")
    for row in found.slowdowns:
        ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
        counts = (str(row.comparisons), str(row.detected), str(row.busy))
        made.add_row(f"{100 * row.share:g} %", *counts, ratio)
    total = found.comparisons + sum(row.comparisons for row in found.slowdowns)
    made.caption = f"{found.seconds:.0f} s in all, {found.seconds / max(1, total):.1f} s each"
    return made
