"""What steps are made of, stack beside stack: the tables and the chart of a profiled run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.results import wording
from benchmarks.results.profiles import StepProfile
from reports.charts.bars import labels, portions
from reports.charts.svg import Room, below, drawing, panels, width
from reports.contents import text
from reports.contents.palette import look
from reports.contents.sections import Cell, Column, Table, stack_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.figure import Figure

    from benchmarks.results.profiles import Explained, Part, ProfiledStack, Reason
    from benchmarks.results.records import Matchup, MatchupResult, Run

SHOWN = 16
"""Lines of a comparison that the page shows, the largest differences; run.json has the rest."""
MOST_PANELS = 4
BAR = 10
"""CSS pixels from one bar to the next."""
GAP = 0.6
"""Between two groups of bars, in bars."""
LOADING = "data loading"
"""The category of time in which a step waits for its batch."""
_Bars = dict[str, dict[str, float]]
"""Seconds by category and, within, by stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One pair of stacks in one matchup; ``a`` is the faster."""

    matchup: str
    title: str
    sentences: tuple[str, ...]
    categories: Table
    layers: Table | None


def explanations(run: Run) -> tuple[Explanation, ...]:
    """Every profiled pair, matchup by matchup."""
    return tuple(
        _explanation(result, pair)
        for result in run.matchups
        for pair in (result.profile or StepProfile()).explained
    )


def remarks(run: Run) -> tuple[str, ...]:
    """Why a profile that was asked for is not there, and what to know before believing another."""
    told = []
    for result in run.matchups:
        profile = result.profile or StepProfile()
        if profile.reason:
            told.append(f"{result.matchup.id}: {profile.reason}")
        told += [f"{result.matchup.id}, {stack}: {why}" for stack, why in profile.failed.items()]
        told += [
            f"{result.matchup.id}, {profiled.stack}: {note}"
            for profiled in profile.stacks
            for note in profiled.notes
        ]
    return tuple(told)


def stacks(run: Run) -> Table | None:
    """What each profiled step was made of in all: work, overhead, and how a device was fed."""
    columns = (
        Column("model", "Model"),
        Column("phase", "Phase"),
        Column("stack", "Stack"),
        Column("wall", "Step, profiled", numeric=True),
        Column("timed", "just before", numeric=True),
        Column("busy", "In operations", numeric=True),
        Column("overhead", "Framework overhead", numeric=True),
        Column("loading", "Waiting for data", numeric=True),
        Column("launches", "Kernels", numeric=True),
        Column("syncs", "Host syncs", numeric=True),
    )
    rows = tuple(
        _stack_row(result.matchup, result.profile, told)
        for result in run.matchups
        if result.profile
        for told in result.profile.stacks
    )
    return Table(caption="Steps as profiled", columns=columns, rows=rows) if rows else None


def _stack_row(matchup: Matchup, profile: StepProfile, told: ProfiledStack) -> tuple[Cell, ...]:
    own = [row for row in profile.rows if row.stack == told.stack]
    loading = sum(row.self_s for row in own if row.category == LOADING)
    parts_s = (told.busy_s, told.overhead_s, loading)
    shares = [value / told.wall_s if told.wall_s else None for value in parts_s]
    return (
        Cell(matchup.model, matchup.model),
        Cell(matchup.phase, matchup.phase),
        stack_cell(told.stack),
        *(Cell(wording.duration(s), s) for s in (told.wall_s, told.timed_s)),
        *(Cell(text.share(share), share) for share in shares),
        *(Cell(wording.ABSENT if n is None else f"{n:g}", n) for n in (told.launches, told.syncs)),
    )


def _explanation(result: MatchupResult, pair: Explained) -> Explanation:
    matchup = result.matchup
    return Explanation(
        matchup=matchup.id,
        title=f"{matchup.model} {matchup.phase}: {pair.b} takes"
        f" {wording.duration(pair.gap_s)} more than {pair.a}, as profiled",
        sentences=(*([pair.doubt] if pair.doubt else []), *map(_sentence, pair.sentences)),
        categories=_table(pair, pair.categories, "Phase and category"),
        layers=_table(pair, pair.layers, "Phase and layer") if pair.layers else None,
    )


def _sentence(told: Reason) -> str:
    return f"{told.text} Try: {told.experiment.text}." if told.experiment else told.text


def _table(pair: Explained, lines: Sequence[Part], heading: str) -> Table:
    columns = (
        Column("key", heading),
        Column("a", pair.a, numeric=True),
        Column("b", pair.b, numeric=True),
        Column("delta", "Difference", numeric=True),
        Column("range", "by recording", numeric=True),
        Column("share", "Share of the gap", numeric=True),
        Column("cumulative", "So far", numeric=True),
    )
    largest = sorted(lines, key=lambda line: -abs(line.delta_s))[:SHOWN]
    rows = tuple(
        (
            Cell(line.key, line.key),
            *(Cell(wording.duration(s), s) for s in (line.a_s, line.b_s)),
            Cell(_signed(line.delta_s), line.delta_s),
            _range(line.range_s),
            *(Cell(text.share(s), s) for s in (line.share, line.cumulative)),
        )
        for line in lines
        if line in largest
    )
    return Table(caption=f"{heading} of {pair.a} and {pair.b}", columns=columns, rows=rows)


def _range(range_s: Sequence[float] | None) -> Cell:
    """The least and the most of several recordings."""
    if not range_s or range_s[0] == range_s[1]:
        return Cell(wording.ABSENT, None)
    return Cell(" to ".join(map(_signed, range_s)), range_s[0])


def _signed(seconds: float) -> str:
    return ("+" if seconds >= 0 else "\N{MINUS SIGN}") + wording.duration(abs(seconds))


def chart(run: Run) -> list[Figure]:
    """Time by category, a group of bars per category and a bar per stack; a panel per matchup."""
    found = {
        result.matchup: bars
        for result in run.matchups
        if result.matchup.phase != "epoch" and (bars := _by_category(result))
    }
    names = dict(zip(found, labels(list(found)), strict=True))
    return [
        _picture({names[m]: found[m] for m in part}) for part in portions(list(found), MOST_PANELS)
    ]


def _picture(found: Mapping[str, _Bars]) -> Figure:
    """Panels two beside each other; those of a row have as much room as the larger needs."""
    every = list(found.values())
    heights = [max(map(_height, every[i : i + 2])) for i in range(0, len(every), 2)]
    with drawing():
        words = width(category for bars in every for category in bars) + 12
        room = Room(left=words, right=12, top=30, bottom=46, across=words + 16, down=54)
        figure, axes = panels(heights, min(2, len(found)), room)
        for i, (ax, (title, bars)) in enumerate(zip(axes, found.items(), strict=False)):
            _panel(ax, title, bars)
            ax.set_ylim(heights[i // 2] / BAR, -0.8)
        for ax in axes[len(found) :]:
            ax.set_visible(False)
        below(figure, "ms per step, profiled; in each group the stacks as named in the first.")
    return figure


def _height(bars: _Bars) -> float:
    return BAR * sum(len(of) + GAP for of in bars.values())


def _panel(ax: Any, title: str, bars: _Bars) -> None:
    at, ticks = 0.0, []
    for category, of in bars.items():
        ticks.append((at + (len(of) - 1) / 2, category))
        for stack, seconds in of.items():
            drawn = look(stack)
            face = "none" if drawn.hollow else drawn.color
            ax.barh(at, seconds * 1e3, height=0.8, facecolor=face, edgecolor=drawn.color)
            if len(ticks) == 1:
                ax.annotate(f" {stack}", (seconds * 1e3, at), va="center", fontsize=9)
            at += 1
        at += GAP
    ax.set_yticks([y for y, _ in ticks], [name for _, name in ticks])
    ax.margins(x=0.25)
    ax.set_xlim(left=0)
    ax.set_title(title)
    ax.grid(axis="x")


def _by_category(result: MatchupResult) -> _Bars | None:
    """Seconds by category and stack, from the first pairs that name each stack."""
    sums: dict[str, dict[str, float]] = {}
    for pair in (result.profile or StepProfile()).explained:
        for stack, side in ((pair.a, "a_s"), (pair.b, "b_s")):
            if stack not in sums:
                sums[stack] = _sums(pair.categories, side)
    if not sums:
        return None
    totals: dict[str, float] = {}
    for of in sums.values():
        for category, seconds in of.items():
            totals[category] = max(totals.get(category, 0.0), seconds)
    most = max(totals.values(), default=0.0)
    kept = sorted((c for c in totals if totals[c] >= most / 50), key=lambda c: -totals[c])
    ranks = {case.stack: rank for rank, case in enumerate(result.cases)}
    stacks = sorted(sums, key=lambda stack: ranks.get(stack, len(ranks)))
    return {c: {stack: sums[stack].get(c, 0.0) for stack in stacks} for c in kept}


def _sums(lines: Iterable[Part], side: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    for line in lines:
        category = line.key.rpartition(" · ")[2]
        sums[category] = sums.get(category, 0.0) + getattr(line, side)
    return sums
