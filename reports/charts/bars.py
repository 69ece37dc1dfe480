"""The charts of a run as figures; ``reports.charts.svg`` turns them into files.

A stack is told by its name or its shape as well as its colour, compiled modes are hollow or
hatched, and every chart has its numbers in a table beside it.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from benchmarks.results import wording
from reports.charts.svg import WIDTH, Room, below, drawing, panels, width
from reports.contents import text, verdicts
from reports.contents.palette import LIGHT, look
from reports.runs.load import cold_parts, sound, thinned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarks.results.records import Case, Matchup, MatchupResult, Run

MOST_ROWS = 40
"""Rows of a picture: a run with more gets several, each of whole models."""
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
    scale, unit = wording.time_unit(median(everything))
    lines = sum(len(case.launches) for case in cases)
    with drawing():
        room = Room(left=5, right=16, top=10, bottom=44)
        figure, (ax,) = panels([9 * lines + 22 * len(cases) - 4], 1, room, wide=WIDTH - 40)
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


def cold_start(run: Run) -> list[Figure]:
    """Import, build and first step per stack, with an empty and a warm cache; a panel per model."""
    found = {r.matchup: bars for r in run.matchups if (bars := _cold_bars(r.cases))}
    tallest = max(map(len, found.values()), default=0)
    names = dict(zip(found, labels(list(found)), strict=True))
    most = 2 * max(1, MOST_ROWS // max(1, tallest))
    return [
        _cold_picture({m: found[m] for m in part}, names, tallest)
        for part in portions(list(found), most)
    ]


def _cold_picture(
    found: Mapping[Matchup, Sequence[_ColdBar]], names: Mapping[Matchup, str], tallest: int
) -> Figure:
    columns = min(2, len(found))
    bands = math.ceil(len(found) / columns)
    with drawing():
        words = width(_cold_label(bar) for bars in found.values() for bar in bars) + 10
        room = Room(left=words, right=10, top=30, bottom=48, across=words + 10, down=50)
        figure, axes = panels([ROW * tallest] * bands, columns, room)
        for ax, (matchup, bars) in zip(axes, found.items(), strict=False):
            _cold_panel(ax, bars)
            ax.set_title(names[matchup].removesuffix(f"  {matchup.phase}"))
            ax.set_ylim(tallest - 0.4, -0.6)
        for ax in axes[len(found) :]:
            ax.set_visible(False)
        below(
            figure,
            "Seconds, median over launches: import (hollow), build (hatched), first step (solid).",
        )
    return figure


def memory(run: Run, key: str = "peak_rss_bytes") -> list[Figure]:
    """Peak memory per matchup, a column of bars per stack; empty where nothing was recorded."""
    peaks = {
        (result.matchup, case.stack): peak
        for result in run.matchups
        for case in result.cases
        if (peak := getattr(case.memory, key)) is not None
    }
    stacks = list(dict.fromkeys(stack for _, stack in peaks))
    matchups = ordered([matchup for matchup, _ in peaks])
    bands = math.ceil(len(stacks) / 4)
    names = dict(zip(matchups, labels(matchups), strict=True))
    return [
        _memory_picture({m: names[m] for m in part}, stacks, peaks)
        for part in portions(matchups, MOST_ROWS // max(1, bands))
    ]


def _memory_picture(
    names: Mapping[Matchup, str],
    stacks: Sequence[str],
    peaks: Mapping[tuple[Matchup, str], float],
) -> Figure:
    scale, unit = (2**30, "GiB") if max(peaks.values()) >= 2**30 else (2**20, "MiB")
    columns = min(4, len(stacks))
    bands = math.ceil(len(stacks) / columns)
    with drawing():
        room = Room(
            left=width(names.values()) + 10, right=10, top=30, bottom=42, across=14, down=66
        )
        figure, axes = panels([ROW * len(names)] * bands, columns, room, share=True)
        for ax, stack in zip(axes, stacks, strict=False):
            _bars(ax, [peaks.get((matchup, stack), math.nan) / scale for matchup in names], stack)
            ax.set_title(text.name(stack, 28))
            ax.set_xlabel(unit)
        for ax in axes[len(stacks) :]:
            ax.set_visible(False)
        axes[0].set_yticks(range(len(names)), list(names.values()))
        axes[0].set_ylim(len(names) - 0.4, -0.6)
        axes[0].set_xlim(0, 1.22 * max(peaks.values()) / scale)
    return figure


def portions(matchups: Sequence[Matchup], most: int) -> Iterator[list[Matchup]]:
    """The matchups in parts of at most ``most``, in their order; a model is cut only if larger."""
    part: list[Matchup] = []
    for _, group in groupby(matchups, lambda m: m.model):
        own = list(group)
        if part and len(part) + len(own) > most:
            yield part
            part = []
        part += own
        while len(part) > most:
            yield part[:most]
            part = part[most:]
    if part:
        yield part


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


def legend(figure: Figure, stacks: Iterable[str], *, line: bool = True) -> None:
    """The looks of stacks, at the top left of a picture."""
    handles = []
    for stack in dict.fromkeys(stacks):
        drawn = look(stack)
        handles.append(
            Line2D(
                [],
                [],
                color=drawn.color,
                marker=drawn.marker,
                markersize=4.5,
                markerfacecolor=LIGHT["surface"] if drawn.hollow else drawn.color,
                linestyle="none" if not line else "--" if drawn.hollow else "-",
                label=text.name(stack, 36),
            )
        )
    figure.legend(handles=handles, loc="upper left", ncols=4, fontsize=10)


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
    label = f"{text.name(case.stack, 36)}  median {wording.duration(middle)}"
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
        _beside(ax, left, y, wording.duration(left))
    ax.set_yticks(range(len(bars)), list(map(_cold_label, bars)))
    ax.set_xlim(0, 1.18 * max(sum(parts) for _, _, parts in bars) or 1)
    ax.grid(axis="x")


def _cold_label(bar: _ColdBar) -> str:
    stack, cache, _ = bar
    return f"{text.name(stack, 28)}, cache {cache}"


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
            _beside(ax, value, y, wording.factor(value))
    ax.tick_params(labelbottom=True)
    ax.grid(axis="x")


def _beside(ax: Axes, x: float, y: float, words: str) -> None:
    """A number just right of the end of its bar."""
    ax.annotate(words, (x, y), (4, 0), textcoords="offset points", va="center", fontsize=9.5)
