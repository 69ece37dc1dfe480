"""Every case under the roofs of its device, as a table and as a chart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.ticker import LogLocator

from benchmarks.results.machine import Ceiling
from reports.charts.bars import legend
from reports.charts.svg import Room, drawing, panels
from reports.contents import text
from reports.contents.palette import LIGHT, look
from reports.contents.sections import Cell, Column, Table, stack_cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarks.results.records import Case, Matchup, Run
    from profilers.roofline import Place

MOST_PANELS = 6
PANEL = 210
"""Height of a panel, in CSS pixels."""
BOUNDS = {
    "compute": "compute",
    "memory": "memory",
    "neither": "neither: overhead, latency or extra work",
}


def table(run: Run) -> Table | None:
    """Work, traffic, and the share of the roof that each case reaches."""
    columns = (
        Column("model", "Model"),
        Column("phase", "Phase"),
        Column("stack", "Stack"),
        Column("intensity", "FLOP per byte", numeric=True),
        Column("flops", "FLOP/s", numeric=True),
        Column("compute", "of the fastest product", numeric=True),
        Column("bytes", "B/s", numeric=True),
        Column("memory", "of the fastest copy", numeric=True),
        Column("bound", "Bound"),
    )
    rows = tuple(_row(m, case, place) for m, case, place in _placed(run))
    return Table(caption="Roofline", columns=columns, rows=rows) if rows else None


def _row(matchup: Matchup, case: Case, place: Place) -> tuple[Cell, ...]:
    return (
        Cell(matchup.model, matchup.model),
        Cell(matchup.phase, matchup.phase),
        stack_cell(case.stack),
        Cell(text.quantity(place.intensity, ""), place.intensity),
        Cell(text.quantity(place.flops_per_s, "FLOP/s"), place.flops_per_s),
        Cell(text.share(place.of_compute), place.of_compute),
        Cell(text.quantity(place.bytes_per_s, "B/s"), place.bytes_per_s),
        Cell(text.share(place.of_memory), place.of_memory),
        Cell(BOUNDS[place.bound], place.bound),
    )


def _placed(run: Run) -> Iterator[tuple[Matchup, Case, Place]]:
    for result in run.matchups:
        for case in result.cases:
            if case.roofline:
                yield result.matchup, case, case.roofline


def chart(run: Run) -> list[Figure]:
    """FLOP/s over FLOP per byte, both logarithmic, a panel per model under the measured roofs.

    Empty where no roof was measured.
    """
    ceiling = run.environment.ceiling or Ceiling()
    peak, bandwidth = ceiling.flops_per_s, ceiling.bytes_per_s
    placed = list(_placed(run))
    if not placed or not peak or not bandwidth:
        return []
    by_model: dict[str, list[tuple[Case, Place]]] = {}
    for matchup, case, place in placed:
        by_model.setdefault(matchup.model, []).append((case, place))
    xs = [peak / bandwidth, *(place.intensity for _, _, place in placed)]
    lowest = min(place.flops_per_s for _, _, place in placed)
    reach = (min(xs) / 2, max(xs) * 2), (lowest / 2, peak * 2)
    models = list(by_model)
    return [
        _picture({m: by_model[m] for m in models[i : i + MOST_PANELS]}, peak, bandwidth, reach)
        for i in range(0, len(models), MOST_PANELS)
    ]


def _picture(
    found: Mapping[str, Sequence[tuple[Case, Place]]],
    peak: float,
    bandwidth: float,
    reach: tuple[tuple[float, float], tuple[float, float]],
) -> Figure:
    columns = min(2, len(found))
    bands = math.ceil(len(found) / columns)
    stacks = dict.fromkeys(case.stack for cases in found.values() for case, _ in cases)
    with drawing():
        room = Room(left=92, right=16, top=58, bottom=44, across=30, down=54)
        figure, axes = panels([PANEL] * bands, columns, room, share=True)
        for ax, (model, cases) in zip(axes, found.items(), strict=False):
            _panel(ax, cases, peak, bandwidth, reach)
            ax.set_title(text.name(model, 40))
        for ax in axes[len(found) :]:
            ax.set_visible(False)
        legend(figure, stacks, line=False)
    return figure


def _panel(
    ax: Axes,
    cases: Sequence[tuple[Case, Place]],
    peak: float,
    bandwidth: float,
    reach: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    (low, high), across = reach
    ax.set_xscale("log")
    ax.set_yscale("log")
    roof = [low * bandwidth, peak, peak]
    ax.plot([low, peak / bandwidth, high], roof, color=LIGHT["ink"], lw=1.4)
    for case, place in cases:
        drawn = look(case.stack)
        ax.plot(
            place.intensity,
            place.flops_per_s,
            drawn.marker,
            color=drawn.color,
            markerfacecolor="none" if drawn.hollow else drawn.color,
        )
    ax.annotate(
        f"fastest product, {text.quantity(peak, 'FLOP/s')}",
        (high, peak), ha="right", va="bottom", fontsize=9.5,
    )  # fmt: skip
    ax.annotate(
        f"fastest copy, {text.quantity(bandwidth, 'B/s')}",
        (low, low * bandwidth), (14, 0), textcoords="offset points", ha="left", va="top",
        fontsize=9.5,
    )  # fmt: skip
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    ax.xaxis.set_major_formatter(lambda value, _: text.quantity(value, ""))
    ax.yaxis.set_major_formatter(lambda value, _: text.quantity(value, "FLOP/s"))
    ax.minorticks_off()
    ax.set_xlim(low, high)
    ax.set_ylim(*across)
    ax.tick_params(labelbottom=True)
    ax.set_xlabel("FLOP per byte that must be moved")
    ax.grid()
