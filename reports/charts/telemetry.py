"""What each case took of the machine while it repeated its work, as tables, words and a picture.

A figure that is none is a dash, and the reasons stand once below the table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.results import wording
from benchmarks.results.observed import Measured, Watched
from reports.charts.bars import labels, legend, portions
from reports.charts.svg import Room, drawing, panels
from reports.contents import text
from reports.contents.palette import LIGHT, look
from reports.contents.sections import Cell, Column, Table, stack_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarks.results.records import Case, MatchupResult, Run

Phase = Mapping[str, float | Measured]
"""The seconds of a phase and what each metric came to."""
STEADY = "steady"
MOST_LANES = 8
LANE = 110
"""Height of a lane, in CSS pixels."""
LANE_SHARE = 0.76
"""Of a lane, from zero to the largest value; above it stands the name."""
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
        cells = [stack_cell(case.stack), Cell(wording.duration(seconds), seconds)]
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


def over_time(run: Run) -> list[Figure]:
    """Utilisation and memory over time: a panel per figure, in it a lane per matchup.

    Lanes of a panel share their scale, which ends at the largest value.
    """
    found = {r.matchup: courses for r in run.matchups if (courses := _courses(r))}
    names = dict(zip(found, labels(list(found)), strict=True))
    return [
        _picture({names[m]: found[m] for m in part}) for part in portions(list(found), MOST_LANES)
    ]


def _picture(lanes: Mapping[str, Sequence[tuple[str, _Course]]]) -> Figure:
    courses = [one for several in lanes.values() for one in several]
    drawn = [d for d in DRAWN if any(d[0] in course for _, course in courses)]
    with drawing():
        room = Room(left=56, right=14, top=58, bottom=44, across=62)
        figure, axes = panels([LANE * len(lanes)], max(1, len(drawn)), room)
        for ax, (metric, words, unit) in zip(axes, drawn, strict=False):
            values = [value / unit for _, course in courses for value in course.get(metric, ())]
            most = max(filter(math.isfinite, values), default=0.0) or 1.0
            for lane, (name, several) in enumerate(lanes.items()):
                _lane(ax, name, several, metric, (-lane, LANE_SHARE / most / unit))
            marks = [(-lane + at) for lane in range(len(lanes)) for at in (0.0, LANE_SHARE)]
            ax.set_yticks(marks, ["0", wording.factor(most)] * len(lanes))
            ax.set_ylim(0.9 - len(lanes), 1.0)
            ax.set_title(words)
            ax.set_xlabel("seconds since watching began")
            ax.grid(axis="y")
        legend(figure, [stack for stack, _ in courses])
    return figure


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
        return wording.ABSENT
    seconds = _told(steady, figure.metric).seconds
    return figure.write(value) + (f" in {wording.duration(seconds)}" if seconds else "")


def _events(steady: Phase) -> str:
    names = _told(steady, "gpu.clock_events").value
    return ", ".join(names) if isinstance(names, tuple) and names else wording.ABSENT


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


def _lane(
    ax: Axes,
    name: str,
    courses: Iterable[tuple[str, _Course]],
    metric: str,
    place: tuple[float, float],
) -> None:
    """A matchup: ``place`` is where its zero lies, and how high one unit of its figures is."""
    zero, high = place
    for stack, course in courses:
        style = look(stack)
        ax.plot(
            course["at_s"],
            [zero + value * high for value in course.get(metric, [math.nan] * len(course["at_s"]))],
            color=style.color,
            marker=style.marker,
            markevery=max(1, len(course["at_s"]) // 4),
            markersize=4,
            markerfacecolor=LIGHT["surface"] if style.hollow else style.color,
            linewidth=1.0,
            linestyle="--" if style.hollow else "-",
        )
    ax.text(0, zero + 0.98, name, transform=ax.get_yaxis_transform(), va="top", fontsize=10)
