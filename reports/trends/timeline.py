"""The picture of a history: every run with its interval, change points and new versions."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.results import wording
from benchmarks.results.stored.files import replace
from reports.charts.svg import Room, below, drawing, panels, png
from reports.contents import text
from reports.contents.palette import LIGHT, look
from reports.runs.load import LoadError

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reports.trends.history import History

HEIGHT = 254
MAX_DATES = 8


def draw(shown: History, file: Path) -> None:
    """Write the picture as PNG.

    Raises:
        LoadError: no run has a value.
        OSError: the file cannot be written.
    """
    figure = timeline(shown)
    if figure is None:
        raise LoadError(f"{shown.key}: no run has a value to draw")
    replace(file, png(figure))


def timeline(shown: History) -> Figure | None:
    """The runs side by side, oldest left; ``None`` where no run has a value."""
    points = [(x, row) for x, row in enumerate(shown.rows) if row.value]
    if not points:
        return None
    values = [row.value or math.nan for _, row in points]
    scale, unit = wording.time_unit(median(values)) if shown.unit == "s" else (1.0, "ratio")
    stack = shown.key.rpartition(" ")[0].rpartition(" ")[2] or shown.key.rpartition(".")[2]
    with drawing():
        figure, (ax,) = panels([HEIGHT], 1, Room(left=72, right=24, top=72, bottom=54))
        spreads = [(x, *(end / scale for end in row.ci95)) for x, row in points if row.ci95]
        if spreads:
            ax.vlines(
                *zip(*spreads, strict=True), color=look(stack).color, linewidth=1.2, alpha=0.5
            )
        ax.plot(
            [x for x, _ in points],
            [value / scale for value in values],
            marker=look(stack).marker,
            markersize=4.5,
            linewidth=0.8,
            color=look(stack).color,
        )
        _marks(ax, shown)
        _dates(ax, shown)
        ax.set_xlim(-0.8, len(shown.rows) - 0.2)
        ax.set_ylabel(unit)
        ax.set_title(text.name(shown.key, 100), pad=30)
        ax.grid(axis="y")
        below(
            figure,
            "Whiskers: 95 % interval over launches. Solid line: change point. "
            "Dotted line: new version. The axis need not start at zero.",
        )
    return figure


def _marks(ax: Axes, shown: History) -> None:
    """Vertical lines between the last run of the old and the first of the new."""
    for x, row in enumerate(shown.rows):
        words = [f"{100 * row.change:+.1f} %"] if row.change is not None else []
        words += [text.name(version, 40) for version in row.versions]
        if not words:
            continue
        solid = row.change is not None
        ax.axvline(
            x - 0.5,
            color=LIGHT["bad-text" if solid else "muted"],
            linestyle="-" if solid else ":",
            linewidth=1.2,
        )
        ax.annotate(
            "\n".join(words),
            (x - 0.5, 1.0),
            (0, 3),
            xycoords=ax.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=9,
            color=LIGHT["bad-text" if solid else "muted"],
        )


def _dates(ax: Axes, shown: History) -> None:
    count = len(shown.rows)
    ticks = range(0, count, max(1, math.ceil(count / MAX_DATES)))
    moments = [text.moment(text.name(shown.rows[x].started, 30)) for x in ticks]
    ax.set_xticks(ticks, [moment.removesuffix(" UTC") for moment in moments])
