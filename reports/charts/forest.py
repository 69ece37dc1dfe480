"""The forest plot: every ratio with its interval, one panel per pair; also the README's picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchmarks.results import wording
from reports.charts.bars import MOST_ROWS, ROW, labels, ordered, portions
from reports.charts.svg import Room, below, drawing, panels, width
from reports.contents import text, verdicts
from reports.contents.palette import LIGHT, look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarks.results.records import Matchup, Run
    from reports.contents.verdicts import Outcome, Pair

_TICKS = ((1.05, 1.1, 1.2), (1.2, 1.5), (1.5, 2, 3), (2, 4, 8), (4, 16, 64), (10, 100, 1000))


def forest(run: Run) -> list[Figure]:
    """Ratio and 95 % interval of every matchup on a log2 axis, one panel per pair.

    Empty where the run compares nothing.
    """
    found = {p: {o.matchup: o for o in verdicts.outcomes(run, p)} for p in verdicts.pairs(run)}
    matchups = ordered([matchup for of in found.values() for matchup in of])
    far = reach([o for of in found.values() for o in of.values()])
    names = dict(zip(matchups, labels(matchups), strict=True))
    return [
        _picture(
            {m: names[m] for m in part},
            {pair: [of.get(m) for m in part] for pair, of in found.items()},
            far,
        )
        for part in portions(matchups, MOST_ROWS)
    ]


def _picture(
    names: Mapping[Matchup, str],
    found: Mapping[Pair, Sequence[Outcome | None]],
    far: float,
) -> Figure:
    with drawing():
        room = Room(left=width(names.values()) + 10, right=58, top=46, bottom=48, across=66)
        figure, axes = panels([ROW * len(names)], len(found), room, share=True)
        for ax, (pair, outcomes) in zip(axes, found.items(), strict=True):
            _panel(ax, pair, outcomes)
        axes[0].set_yticks(range(len(names)), list(names.values()))
        axes[0].set_ylim(len(names) - 0.5, -0.5)
        axes[0].set_xlim(-far, far)
        axes[0].set_xticks(*ratio_ticks(far))
        below(
            figure,
            "Time of the slower over time of the faster. Whiskers: 95 % interval over launches. "
            "Grey band: too small a difference to call.",
        )
    return figure


def reach(outcomes: Sequence[Outcome]) -> float:
    """Half the width of the ratio axis, in doublings; a wild interval may run off the edge."""
    called = [o for o in outcomes if o.word != "not comparable"]
    points = max((abs(math.log2(o.ratio)) for o in called), default=0.0)
    ends = max((abs(math.log2(end)) for o in called for end in _ends(o)), default=0.0)
    return max(0.2, points + 0.1, min(ends + 0.05, 2 * points + 0.5))


def _ends(outcome: Outcome) -> tuple[float, ...]:
    """The ends of the interval; nothing where one launch gave none."""
    return tuple(end for end in outcome.ci95 if math.isfinite(end))


def ratio_ticks(far: float) -> tuple[list[float], list[str]]:
    """Where an axis of ratios, in doublings up to ``far`` on both sides, is marked, and the marks.

    A mark is the time of the slower over that of the faster.
    """
    option = next((t for t in _TICKS if math.log2(t[-1]) >= 0.8 * far), _TICKS[-1])
    sides = [math.log2(t) for t in option if math.log2(t) <= far]
    ticks = [*(-t for t in reversed(sides)), 0.0, *sides]
    return ticks, [f"{2 ** abs(t):.4g}{wording.TIMES}" if t else "1" for t in ticks]


def _panel(ax: Axes, pair: Pair, outcomes: Sequence[Outcome | None]) -> None:
    compiled = look(pair.a).hollow and look(pair.b).hollow
    for y, outcome in enumerate(outcomes):
        if outcome is None:
            continue
        if outcome.word == "not comparable":
            ax.text(
                0,
                y,
                text.brief(wording.withheld(outcome.reason), 58),
                ha="center",
                va="center",
                fontsize=9.5,
                color=LIGHT["muted"],
                bbox={"facecolor": LIGHT["surface"], "edgecolor": "none", "pad": 1.5},
            )
            continue
        _whisker(ax, y, outcome, hollow=compiled)
    ax.axvline(0, color=LIGHT["muted"], linewidth=0.8, zorder=1)
    ax.grid(axis="x")
    ax.tick_params(labelbottom=True)
    ax.set_title(f"{text.name(pair.a, 30)} against {text.name(pair.b, 30)}", pad=24)
    for x, align, words in (
        (0.0, "left", f"◀ {text.name(pair.b, 30)} faster"),
        (1.0, "right", f"{text.name(pair.a, 30)} faster ▶"),
    ):
        ax.text(
            x,
            1.0,
            words,
            ha=align,
            va="bottom",
            fontsize=10,
            color=LIGHT["muted"],
            transform=ax.transAxes,
        )


def _whisker(ax: Axes, y: int, outcome: Outcome, *, hollow: bool) -> None:
    edge = math.log2(1 + outcome.margin) if outcome.margin > -1 else 0.0
    ax.barh(y, 2 * edge, left=-edge, height=1.0, color=LIGHT["band"], zorder=0)
    drawn = look(outcome.winner) if outcome.winner else None
    color = drawn.color if drawn else LIGHT["other"]
    if ends := _ends(outcome):
        spread = [math.log2(end) for end in ends]
        ax.plot(spread, [y, y], color=color, linewidth=1.6, solid_capstyle="butt", zorder=2)
    ax.plot(
        [math.log2(outcome.ratio)],
        [y],
        linestyle="none",
        marker=drawn.marker if drawn else "D",
        markersize=6.5 if drawn else 5,
        markeredgecolor=color,
        markeredgewidth=1.5,
        markerfacecolor=LIGHT["surface"] if hollow else color,
        zorder=3,
    )
    label = wording.times(outcome.factor[0]) if drawn else "no call"
    ax.annotate(
        label,
        (1, y),
        (4, 0),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        va="center",
        fontsize=9.5,
        color=LIGHT["ink"] if drawn else LIGHT["muted"],
    )
