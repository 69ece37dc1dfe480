"""The charts of a run as figures; ``reports.svg`` turns them into files.

A stack is told by its name or its shape as well as its colour, compiled modes are hollow or
hatched, and every chart has its numbers in a table beside it.
"""

from __future__ import annotations

import math
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Any

from reports import text, verdicts
from reports.load import cold_parts, sound, thinned
from reports.palette import LIGHT, look
from reports.svg import canvas, drawing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarks.results.records import Case, Matchup, MatchupResult, Run

WIDTH = 1120  # CSS pixels, the text column of the page
MAX_ROWS = 80
CACHES = ("empty", "warm")
ROW = 22


def distributions(result: MatchupResult, limit: int = 200) -> Figure | None:
    """Every sample of a matchup as a tick, launch below launch, with the median of each launch.

    At most ``limit`` samples of a case are drawn, evenly thinned. ``None`` without samples.
    """
    cases = [case for case in map(sound, result.cases) if case.samples_s]
    if not cases:
        return None
    everything = [s for case in cases for s in case.samples_s]
    scale, unit = text.time_unit(median(everything))
    lines = sum(len(case.launches) for case in cases)
    with drawing():
        height = 9 * lines + 22 * len(cases) + 50
        figure = canvas(WIDTH - 40, height, layout=None)  # fixed margins: drawn for every matchup
        figure.subplots_adjust(0.005, 44 / height, 0.985, 1 - 10 / height)
        ax = figure.subplots()
        top = 0.0
        for case in cases:
            top = _strips(ax, case, top, scale, limit)
        ax.set_ylim(top - 1, -1.5)
        ax.set_yticks([])
        logarithmic = max(everything) > 8 * min(everything)
        if logarithmic:
            ax.set_xscale("log")
        ax.grid(axis="x")
        scale_words = "logarithmic" if logarithmic else "the axis need not start at zero"
        ax.set_xlabel(f"{unit} per iteration ({scale_words})")
    return figure


def cold_start(run: Run) -> Figure | None:
    """Import, build and first step per stack, with an empty and a warm cache; a panel per model."""
    groups = [(r.matchup, _cold_bars(r.cases)) for r in run.matchups]
    groups = [(matchup, bars) for matchup, bars in groups if bars]
    if not groups:
        return None
    columns = min(2, len(groups))
    bands = math.ceil(len(groups) / columns)
    tallest = max(len(bars) for _, bars in groups)
    with drawing():
        figure = canvas(WIDTH, bands * (ROW * tallest + 66) + 30)
        axes = figure.subplots(bands, columns, squeeze=False).ravel()
        for ax, (matchup, bars), label in zip(
            axes, groups, labels([matchup for matchup, _ in groups]), strict=False
        ):
            _cold_panel(ax, bars)
            ax.set_title(label.removesuffix(f"  {matchup.phase}"))
            ax.set_ylim(tallest - 0.4, -0.6)
        for ax in axes[len(groups) :]:
            ax.set_visible(False)
        figure.supxlabel(
            "Seconds, median over launches: import (hollow), build (hatched), first step (solid).",
            fontsize=10,
            color=LIGHT["muted"],
        )
    return figure


def memory(run: Run, key: str = "peak_rss_bytes") -> Figure | None:
    """Peak memory per matchup, a column of bars per stack; ``None`` where nothing was recorded."""
    peaks = {
        (result.matchup, case.stack): peak
        for result in run.matchups
        for case in result.cases
        if (peak := getattr(case.memory, key)) is not None
    }
    if not peaks:
        return None
    matchups = ordered([matchup for matchup, _ in peaks])[:MAX_ROWS]
    stacks = list(dict.fromkeys(stack for _, stack in peaks))
    scale, unit = (2**30, "GiB") if max(peaks.values()) >= 2**30 else (2**20, "MiB")
    columns = min(4, len(stacks))
    bands = math.ceil(len(stacks) / columns)
    with drawing():
        figure = canvas(WIDTH, bands * (ROW * len(matchups) + 72))
        axes = figure.subplots(bands, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for ax, stack in zip(axes, stacks, strict=False):
            _bars(
                ax, [peaks.get((matchup, stack), math.nan) / scale for matchup in matchups], stack
            )
            ax.set_title(text.name(stack, 28))
            ax.set_xlabel(unit)
        for ax in axes[len(stacks) :]:
            ax.set_visible(False)
        axes[0].set_yticks(range(len(matchups)), labels(matchups))
        axes[0].set_ylim(len(matchups) - 0.4, -0.6)
        axes[0].set_xlim(0, 1.22 * max(peaks.values()) / scale)
    return figure


def ordered(matchups: Sequence[Matchup]) -> list[Matchup]:
    """Model by model as the run has them, phases in their order."""
    models = list(dict.fromkeys(m.model for m in matchups))
    phases = verdicts.phase_order(m.phase for m in matchups)
    return sorted(
        dict.fromkeys(matchups), key=lambda m: (models.index(m.model), phases.index(m.phase))
    )


def labels(matchups: Sequence[Matchup]) -> list[str]:
    """Model and phase; where several matchups share them, also what tells those apart."""
    twice = Counter((m.model, m.phase) for m in matchups)
    labels = []
    for m in matchups:
        parts = [text.name(m.model, 28), text.name(m.phase, 16)]
        if twice[m.model, m.phase] > 1:
            parts.append(text.name(verdicts.conditions(m), 40))
        labels.append("  ".join(parts))
    return labels


def _strips(ax: Axes, case: Case, top: float, scale: float, limit: int) -> float:
    """Draws a case below ``top``; returns where the next one starts."""
    drawn = look(case.stack)
    ticks_x: list[float] = []  # one broken path for all ticks keeps the page small
    ticks_y: list[float] = []
    for row, samples in enumerate(thinned(case, limit)):
        for sample in samples:
            ticks_x += [sample / scale, sample / scale, math.nan]
            ticks_y += [top + row - 0.42, top + row + 0.42, math.nan]
    medians = [
        (median(launch.samples_s) / scale, top + row)
        for row, launch in enumerate(case.launches)
        if launch.samples_s
    ]
    ax.plot(ticks_x, ticks_y, color=drawn.color, linewidth=0.8, alpha=0.55)
    face = LIGHT["surface"] if drawn.hollow else drawn.color
    ax.plot(
        *zip(*medians, strict=True),
        drawn.marker,
        markersize=5,
        markeredgecolor=LIGHT["ink"],
        markerfacecolor=face,
        markeredgewidth=0.9,
    )
    middle = median(case.samples_s)
    label = f"{text.name(case.stack, 36)}  median {text.duration(middle)}"
    ax.annotate(label, (0, top - 0.75), xycoords=ax.get_yaxis_transform(), va="bottom", fontsize=10)
    return top + len(case.launches) + 2.4


_ColdBar = tuple[str, str, tuple[float, float, float]]  # stack, cache, median seconds


def _cold_bars(cases: Sequence[Case]) -> list[_ColdBar]:
    """Stack, cache, and median seconds of import, build and first step."""
    return [
        (case.stack, cache, parts)
        for case in cases
        for cache in CACHES
        if (parts := cold_parts(case, cache))
    ]


def _cold_panel(ax: Axes, bars: Sequence[_ColdBar]) -> None:
    for y, (stack, _, parts) in enumerate(bars):
        color, left = look(stack).color, 0.0
        looks: tuple[dict[str, Any], ...] = (
            {"facecolor": LIGHT["surface"]},
            {"facecolor": LIGHT["surface"], "hatch": "////"},
            {"facecolor": color},
        )
        for part, style in zip(parts, looks, strict=True):
            ax.barh(y, part, left=left, height=0.62, edgecolor=color, linewidth=1.0, **style)
            left += part
        _beside(ax, left, y, text.duration(left))
    ax.set_yticks(
        range(len(bars)), [f"{text.name(stack, 28)}, cache {cache}" for stack, cache, _ in bars]
    )
    ax.set_xlim(0, 1.18 * max(sum(parts) for _, _, parts in bars) or 1)
    ax.grid(axis="x")


def _bars(ax: Axes, values: Sequence[float], stack: str) -> None:
    drawn = look(stack)
    ax.barh(
        range(len(values)),
        values,
        height=0.6,
        facecolor=LIGHT["surface"] if drawn.hollow else drawn.color,
        edgecolor=drawn.color,
        hatch="////" if drawn.hollow else None,
    )
    for y, value in enumerate(values):
        if math.isfinite(value):
            _beside(ax, value, y, text.factor(value))
    ax.tick_params(labelbottom=True)
    ax.grid(axis="x")


def _beside(ax: Axes, x: float, y: float, words: str) -> None:
    """A number just right of the end of its bar."""
    ax.annotate(words, (x, y), (4, 0), textcoords="offset points", va="center", fontsize=9.5)
