"""Ratios over batches and sizes: as a map with the line where the winner changes, and as curves."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.charts.bars import MOST_ROWS, ROW, legend, portions
from reports.charts.forest import ratio_ticks, reach
from reports.charts.svg import Room, below, drawing, panels, width
from reports.contents import regimes, text, verdicts
from reports.contents.palette import LIGHT, SHAPES, look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from benchmarks.results.records import Run
    from reports.contents.regimes import Curve
    from reports.contents.verdicts import Outcome, Pair

FULL = 2.0
"""Doublings of the ratio from which on a colour gets no deeper."""
FAINT, DEEP = 0.12, 0.6
"""Opacity of a ratio of 1, and of ``FULL`` doublings: words stay readable on it."""
COLUMNS = 4
HIGH = 130
MOST_PANELS = 32


def heat(run: Run) -> list[Figure]:
    """A map for each pair: a row per model, size and phase, a column per batch.

    Empty where no model was run at two batches.
    """
    pictures = list[Figure]()
    for pair in verdicts.pairs(run):
        rows = {curve.points[0].matchup: curve for curve in regimes.curves(run, pair)}
        parts = portions(list(rows), MOST_ROWS)
        pictures += [_map(pair, [rows[matchup] for matchup in part]) for part in parts]
    return pictures


def _map(pair: Pair, rows: Sequence[Curve]) -> Figure:
    batches = sorted({o.matchup.batch for curve in rows for o in curve.points})
    names = [f"{text.name(curve.name, 44)}  {text.name(curve.phase, 16)}" for curve in rows]
    cells = [_cells(curve, batches) for curve in rows]
    with drawing():
        room = Room(left=width(names) + 10, right=10, top=36, bottom=62)
        figure, (ax,) = panels([ROW * len(rows)], 1, room)
        for y, row in enumerate(cells):
            for x, outcome in enumerate(row):
                _cell(ax, x, y, outcome, pair)
        _border(ax, rows, cells)
        ax.set_xlim(0, len(batches))
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_yticks(range(len(rows)), names)
        ax.set_xticks([x + 0.5 for x in range(len(batches))], [str(b) for b in batches])
        ax.set_xlabel("batch")
        legend(figure, pair, line=False)
        below(
            figure,
            "Time of the slower over time of the faster; the deeper, the further apart."
            " = no call. Thick line: the winner changes.",
        )
    return figure


def _cells(curve: Curve, batches: Sequence[int]) -> list[Outcome | None]:
    by_batch = {o.matchup.batch: o for o in curve.points}
    return [by_batch.get(batch) for batch in batches]


def _cell(ax: Axes, x: int, y: int, outcome: Outcome | None, pair: Pair) -> None:
    """A coloured field with the ratio in it."""
    if outcome is None:
        return
    if outcome.winner:
        deep = min(1.0, abs(math.log2(outcome.ratio)) / FULL)
        drawn = look(outcome.winner)
        both = {look(stack).role for stack in pair}
        ax.barh(
            y,
            1,
            left=x,
            height=1,
            facecolor=drawn.color,
            alpha=FAINT + (DEEP - FAINT) * deep,
            hatch="//" if len(both) == 1 and drawn.hollow else None,
        )
    else:
        ax.barh(y, 1, left=x, height=1, facecolor=LIGHT["band"])
    ax.text(
        x + 0.5,
        y,
        regimes.mark(outcome),
        ha="center",
        va="center",
        fontsize=10,
        color=LIGHT["ink" if outcome.winner else "muted"],
    )


def _border(ax: Axes, rows: Sequence[Curve], cells: Sequence[Sequence[Outcome | None]]) -> None:
    """A thick line between fields of different winners, along a curve and between sizes."""
    for y, row in enumerate(cells):
        for x, (left, right) in enumerate(pairwise(row)):
            if _apart(left, right):
                ax.plot([x + 1, x + 1], [y - 0.5, y + 0.5], color=LIGHT["ink"], linewidth=2.4)
    for y, (above, under) in enumerate(pairwise(rows)):
        if (above.model, above.phase) == (under.model, under.phase):
            for x, (upper, lower) in enumerate(zip(cells[y], cells[y + 1], strict=True)):
                if _apart(upper, lower):
                    ax.plot([x, x + 1], [y + 0.5, y + 0.5], color=LIGHT["ink"], linewidth=2.4)


def _apart(one: Outcome | None, other: Outcome | None) -> bool:
    return bool(one and other and one.winner and other.winner and one.winner != other.winner)


def curves(run: Run) -> list[Figure]:
    """A picture for each pair: a panel per model and size, a line per phase, batch against ratio.

    Empty where no model was run at two batches.
    """
    pictures = list[Figure]()
    for pair in verdicts.pairs(run):
        by_name: dict[str, list[Curve]] = {}
        for curve in regimes.curves(run, pair):
            by_name.setdefault(curve.name, []).append(curve)
        found = list(by_name.values())
        starts = range(0, len(found), MOST_PANELS)
        pictures += [_panels(pair, found[first : first + MOST_PANELS]) for first in starts]
    return pictures


def _panels(pair: Pair, found: Sequence[Sequence[Curve]]) -> Figure:
    columns = min(COLUMNS, len(found))
    rows = math.ceil(len(found) / columns)
    points = [o for of in found for curve in of for o in curve.points if o.winner or o.ratio > 0]
    far = reach(points)
    ticks, marks = ratio_ticks(far)
    phases = verdicts.phase_order(curve.phase for of in found for curve in of)
    batches = sorted({o.matchup.batch for o in points})
    with drawing():
        room = Room(left=width(marks) + 10, right=10, top=64, bottom=66, across=20, down=44)
        figure, axes = panels([HIGH] * rows, columns, room, share=True)
        for ax, of in zip(axes, found, strict=False):
            _panel(ax, of, phases)
            ax.set_title(text.name(of[0].name, 34))
        for ax in axes[len(found) :]:
            ax.set_visible(False)
        axes[0].set_ylim(-far, far)
        axes[0].set_yticks(ticks, marks)
        axes[0].set_xticks([math.log2(b) for b in batches], [str(b) for b in batches])
        handles = [Line2D([], [], label=text.name(p, 20), **_style(phases, p)) for p in phases]
        figure.legend(handles=handles, loc="upper left", ncols=len(phases), fontsize=10)
        above, under = (text.name(stack, 30) for stack in pair)
        below(
            figure,
            f"Ratio over batch, with 95 % interval. Above the line: {above} faster; below it:"
            f" {under}. Grey band: too small a difference to call.",
        )
    return figure


def _style(phases: Sequence[str], phase: str) -> dict[str, Any]:
    """How the line of a phase is drawn: by its marker and its dashes, for colours are stacks'."""
    index = phases.index(phase)
    return {
        "marker": list(SHAPES)[index % len(SHAPES)],
        "linestyle": ("-", "--", ":", "-.")[index % 4],
        "color": LIGHT["ink" if index % 2 == 0 else "muted"],
        "markersize": 4.5,
        "linewidth": 1.3,
    }


def _panel(ax: Axes, of: Sequence[Curve], phases: Sequence[str]) -> None:
    margins = [o.margin for curve in of for o in curve.points if o.margin > 0]
    edge = math.log2(1 + max(margins, default=0.0))
    ax.axhspan(-edge, edge, color=LIGHT["band"], zorder=0)
    ax.axhline(0, color=LIGHT["muted"], linewidth=0.8, zorder=1)
    for curve in of:
        shown = [o for o in curve.points if o.ratio > 0]
        x = [math.log2(o.matchup.batch) for o in shown]
        y = [math.log2(o.ratio) for o in shown]
        style = _style(phases, curve.phase)
        ax.plot(x, y, zorder=3, **style)
        for at, outcome in zip(x, shown, strict=True):
            ends = [math.log2(end) for end in outcome.ci95 if math.isfinite(end) and end > 0]
            ax.plot([at] * len(ends), ends, color=style["color"], linewidth=0.9, zorder=2)
    ax.grid(axis="y")
    ax.tick_params(labelbottom=True)
