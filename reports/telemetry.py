"""What each case took of the machine while it repeated its work, as tables, words and a picture.

A figure that is none is a dash, and the reasons stand once below the table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.results.observed import Measured, Watched
from reports import text
from reports.charts import WIDTH, labels
from reports.palette import LIGHT, look
from reports.sections import Cell, Column, Table, stack_cell
from reports.svg import canvas, drawing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarks.results.records import Case, MatchupResult, Run

Phase = Mapping[str, float | Measured]
"""The seconds of a phase and what each metric came to."""
STEADY = "steady"
MOST_DRAWN = 20
"""Matchups in the picture of a run; the page has one for each."""
PANEL = 150
BYTES_MIB = 2**20


class Shown(NamedTuple):
    """A column: which metric, what of it, and how it is written."""

    label: str
    metric: str
    write: Callable[[float], str]
    part: str = ""
    per_second: bool = False


def _count(value: float) -> str:
    return text.whole(value) if value >= 10 or value == 0 else f"{value:.1f}"  # noqa: PLR2004  a digit more below ten


HOST = (
    Shown("Cores used", "cpu.cores_used", lambda v: f"{v:.2f}"),
    Shown("Peak RSS", "cpu.peak_rss_bytes", text.size),
    Shown("Threads", "cpu.threads", text.whole, "max"),
    Shown("Waits/s", "cpu.voluntary_switches", _count, per_second=True),
    Shown("Preempted/s", "cpu.involuntary_switches", _count, per_second=True),
    Shown("Minor faults/s", "cpu.minor_faults", _count, per_second=True),
    Shown("Major faults", "cpu.major_faults", _count),
    Shown("CPU energy", "env.cpu_energy_j", lambda v: text.quantity(v, "J")),
)
GPU = (
    Shown("Kernel resident", "gpu.kernel_resident_pct", lambda v: f"{v:.0f} %"),
    Shown("SM active", "gpu.sm_active_pct", lambda v: f"{v:.0f} %"),
    Shown("Tensor active", "gpu.tensor_active_pct", lambda v: f"{v:.0f} %"),
    Shown("DRAM", "gpu.dram_pct", lambda v: f"{v:.0f} %"),
    Shown("Device memory (NVML)", "gpu.memory_used_bytes", text.size, "max"),
    Shown("Power", "gpu.power_w", lambda v: text.quantity(v, "W")),
    Shown("Energy", "gpu.energy_j", lambda v: text.quantity(v, "J")),
    Shown("SM clock", "gpu.sm_clock_mhz", lambda v: f"{v:.0f} MHz", "p50"),
)
DRAWN = (
    ("cpu.cores_used", "cores used", 1.0),
    ("cpu.rss_bytes", "resident memory, MiB", BYTES_MIB),
    ("gpu.kernel_resident_pct", "kernel resident, %", 1.0),
    ("gpu.memory_used_bytes", "device memory, MiB", BYTES_MIB),
)


def table(result: MatchupResult) -> Table | None:
    """A row per case of a matchup that was watched; ``None`` where none was."""
    watched = [(case, steady) for case in result.cases if (steady := phase(case))]
    if not watched:
        return None
    shown = [f for f in HOST + GPU if any(_value(steady, f) is not None for _, steady in watched)]
    allocator = any(f in GPU for f in shown)
    columns = [Column("stack", "Stack"), Column("window", "Window", numeric=True)]
    columns += [Column(f.metric, f.label, numeric=True) for f in shown]
    columns += [Column("allocator", "Allocator peak", numeric=True)] if allocator else []
    columns += [Column("events", "Clock events")] if allocator else []
    rows = []
    for case, steady in watched:
        seconds = _seconds(steady)
        cells = [stack_cell(case.stack), Cell(text.duration(seconds), seconds)]
        for figure in shown:
            value = _value(steady, figure)
            cells.append(Cell(_written(figure, value, steady), value))
        if allocator:
            peak = case.memory.device_peak_bytes
            cells += [Cell(text.size(peak), peak), Cell(_events(steady))]
        rows.append(tuple(cells))
    return Table(
        caption="What each case took of the machine", columns=tuple(columns), rows=tuple(rows)
    )


def missing(result: MatchupResult) -> tuple[str, ...]:
    """Why figures are not there, each reason once with what it is about."""
    found: dict[str, list[str]] = {}
    for case in result.cases:
        told = case.telemetry or Watched()
        if told.reason:
            found.setdefault(told.reason, []).append(case.stack)
        if told.device and told.device.reason:
            found.setdefault(told.device.reason, []).append("gpu")
        for name, figure in phase(case).items():
            if isinstance(figure, Measured) and figure.reason:
                found.setdefault(figure.reason, []).append(name)
    return tuple(f"{', '.join(dict.fromkeys(of))}: {why}" for why, of in found.items())


def phase(case: Case, name: str = STEADY) -> Phase:
    """The summaries of a phase; empty where the case was not watched."""
    return case.telemetry.phases.get(name, {}) if case.telemetry else {}


def cost(run: Run) -> str:
    """What watching cost over the run; empty where nothing was watched."""
    told = run.telemetry
    if told.share is None:
        return ""
    interval = " [{} to {}]".format(*map(_percent, told.ci95)) if told.ci95 else ""
    resolved = "" if told.resolved else ", too wide to be told from nothing"
    pairs = text.plural(told.pairs, "pair")
    return f"{_percent(told.share)} of the median step{interval} over {pairs}{resolved}"


def over_time(results: Sequence[MatchupResult]) -> Figure | None:
    """Utilisation and memory over time, a line per stack; a row of panels per matchup."""
    rows = [(r, courses) for r in results if (courses := _courses(r))]
    if not rows:
        return None
    drawn = [d for d in DRAWN if any(d[0] in course for _, cs in rows for _, course in cs)]
    with drawing():
        figure = canvas(WIDTH - 40, PANEL * len(rows) + 40)
        grid = figure.subplots(len(rows), len(drawn), squeeze=False)
        names = labels([r.matchup for r, _ in rows])
        for (_, courses), axes, name in zip(rows, grid, names, strict=True):
            for ax, (metric, words, scale) in zip(axes, drawn, strict=True):
                _panel(ax, courses, metric, scale)
                ax.set_ylabel(words)
            if len(rows) > 1:
                axes[0].set_title(name)
        for ax in grid[-1]:
            ax.set_xlabel("seconds since watching began")
        _legend(figure, [stack for _, courses in rows for stack, _ in courses])
    return figure


def picture(run: Run) -> Figure | None:
    """``over_time`` for the first matchups of a run that were watched."""
    watched = [result for result in run.matchups if _courses(result)]
    return over_time(watched[:MOST_DRAWN])


def _told(steady: Phase, metric: str) -> Measured:
    told = steady.get(metric)
    return told if isinstance(told, Measured) else Measured()


def _seconds(steady: Phase) -> float | None:
    seconds = steady.get("seconds")
    return seconds if isinstance(seconds, float) else None


def _value(steady: Phase, figure: Shown) -> float | None:
    told = _told(steady, figure.metric)
    whole = told.mean if told.value is None else told.value
    value = getattr(told, figure.part) if figure.part else whole
    if not isinstance(value, float) or not figure.per_second:
        return value if isinstance(value, float) else None
    seconds = told.seconds or _seconds(steady)
    return value / seconds if seconds else None


def _written(figure: Shown, value: float | None, steady: Phase) -> str:
    """The value, with its own window where that is shorter than the row's: a sum depends on it."""
    if value is None:
        return text.ABSENT
    seconds = _told(steady, figure.metric).seconds
    return figure.write(value) + (f" in {text.duration(seconds)}" if seconds else "")


def _events(steady: Phase) -> str:
    names = _told(steady, "gpu.clock_events").value
    return ", ".join(names) if isinstance(names, tuple) and names else text.ABSENT


def _percent(share: float) -> str:
    return f"{100 * share:+.2f} %"


_Course = Mapping[str, list[float]]


def _courses(result: MatchupResult) -> list[tuple[str, _Course]]:
    """Stack and series of the cases that have one, with NaN for what was not read."""
    found: list[tuple[str, _Course]] = []
    for case in result.cases:
        series = case.telemetry.series if case.telemetry else {}
        course = {
            name: [math.nan if value is None else value for value in values]
            for name, values in series.items()
        }
        length = len(course.get("at_s", ()))
        if length > 1 and all(len(values) == length for values in course.values()):
            found.append((case.stack, course))
    return found


def _panel(ax: Axes, courses: Iterable[tuple[str, _Course]], metric: str, scale: float) -> None:
    for stack, course in courses:
        style = look(stack)
        ax.plot(
            course["at_s"],
            [value / scale for value in course.get(metric, [math.nan] * len(course["at_s"]))],
            color=style.color,
            marker=style.marker,
            markersize=3.5,
            markerfacecolor=LIGHT["surface"] if style.hollow else style.color,
            linewidth=1.0,
            linestyle="--" if style.hollow else "-",
        )
    ax.set_ylim(0, 1.08 * ax.get_ylim()[1])
    ax.grid(axis="y")


def _legend(figure: Figure, stacks: Iterable[str]) -> None:
    from matplotlib.lines import Line2D

    looks = {stack: look(stack) for stack in dict.fromkeys(stacks)}
    handles = [
        Line2D(
            [],
            [],
            color=style.color,
            marker=style.marker,
            markersize=4.5,
            markerfacecolor=LIGHT["surface"] if style.hollow else style.color,
            linestyle="--" if style.hollow else "-",
            label=text.name(stack, 36),
        )
        for stack, style in looks.items()
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=4, fontsize=10)
