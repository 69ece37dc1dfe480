"""Every case under the roofs of its device, as a table and as a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.results.machine import Ceiling
from reports import text
from reports.palette import LIGHT, look
from reports.sections import Cell, Column, Table, stack_cell
from reports.svg import canvas, drawing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from benchmarks.results.records import Case, Matchup, Run
    from profilers.roofline import Place

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


def chart(run: Run) -> Figure | None:
    """FLOP/s over FLOP per byte, both logarithmic, under the two roofs that were measured."""
    ceiling = run.environment.ceiling or Ceiling()
    peak, bandwidth = ceiling.flops_per_s, ceiling.bytes_per_s
    placed = list(_placed(run))
    if not placed or not peak or not bandwidth:
        return None
    xs = [place.intensity for _, _, place in placed]
    low, high = min(*xs, peak / bandwidth) / 2, max(*xs, peak / bandwidth) * 2
    with drawing():
        figure = canvas(1120, 460)
        ax = figure.subplots()
        ax.set_xscale("log")
        ax.set_yscale("log")
        corner = peak / bandwidth
        ax.plot([low, corner, high], [low * bandwidth, peak, peak], color=LIGHT["ink"], lw=1.4)
        for stack in dict.fromkeys(case.stack for _, case, _ in placed):
            drawn, own = look(stack), [p for _, case, p in placed if case.stack == stack]
            ax.plot(
                [p.intensity for p in own],
                [p.flops_per_s for p in own],
                drawn.marker,
                color=drawn.color,
                markerfacecolor="none" if drawn.hollow else drawn.color,
                label=stack,
            )
        ax.annotate(
            f"fastest product, {text.quantity(peak, 'FLOP/s')}",
            (high, peak), ha="right", va="bottom", fontsize=9.5,
        )  # fmt: skip
        ax.annotate(
            f"fastest copy, {text.quantity(bandwidth, 'B/s')}",
            (low, low * bandwidth), ha="left", va="top", fontsize=9.5,
        )  # fmt: skip
        ax.xaxis.set_major_formatter(lambda value, _: text.quantity(value, ""))
        ax.yaxis.set_major_formatter(lambda value, _: text.quantity(value, "FLOP/s"))
        ax.minorticks_off()
        ax.set_ylim(min(place.flops_per_s for _, _, place in placed) / 2, peak * 2)
        ax.set_xlabel("FLOP per byte that must be moved")
        ax.set_ylabel("FLOP/s")
        ax.grid()
        ax.legend(loc="lower right", fontsize=9.5)
    return figure
