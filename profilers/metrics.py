"""What a probe may tell, and from how much of it a figure may be made.

A window that is too short gives no figure but the reason: a utilisation from less than three of the
driver's own periods, or joules from less than a few seconds of a sensor that looks only part of the
time (arXiv 2312.02741), would be a number without a meaning. Every such rule stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, median
from typing import Any, Literal

from profilers.host import NANO, Reading

UTILISATION_S = 3.0
"""The shortest window of a utilisation: three of the longest periods in which NVML averages it."""
ENERGY_S = 5.0
"""The shortest window of an energy: power sensors look at a quarter of the time."""
RATE_S = 0.2
"""The shortest window of a rate from a counter whose step is 10 ms."""
GPM_PAIRS = 10
"""The fewest pairs of samples that a GPM figure is made of."""
GPM_APART_S = 0.1
"""How far apart the two samples of a pair must lie."""
PCIE_LOOKS = 3
"""The fewest looks at a bus that is watched for 20 ms of each second."""
DIGITS = 6

Kind = Literal["gauge", "counter", "rate", "peak", "edge", "flags"]
Summary = dict[str, Any]


class Lost(Exception):  # noqa: N818 - it is a state of what is watched, not a fault
    """What a probe reads is gone for good: a process that ended, a GPU that fell off its bus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure: its name, which ends in its unit, and how its readings make it.

    A ``gauge`` is averaged over time. A ``counter`` and a ``rate`` grow for ever: the figure is the
    difference, and for a rate the difference per second. Of a ``peak`` the last reading holds, of
    an ``edge`` the first and the last, and ``flags`` are bits that were set at any time. ``min_s``
    and ``min_n`` are the shortest window and the fewest readings. ``since``: a reading is about the
    time since the one before it, so that the one with which a window begins is about what was
    before.
    """

    name: str
    kind: Kind
    meaning: str
    min_s: float = 0.0
    min_n: int = 1
    since: bool = False
    flags: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capability:
    """Whether a metric can be had here: ``reason`` says why not, ``note`` how it is read."""

    reason: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A reading and its moment on the monotonic clock."""

    at_ns: int
    value: float


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the monotonic clock that belongs to a phase."""

    began_ns: int
    ended_ns: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.ended_ns - self.began_ns) * NANO

    def of(self, points: Sequence[Point], *, since: bool = False) -> list[Point]:
        """The points within, edges included; the first edge not where they are of what was before.

        ``since`` is that of the metric.
        """
        first_ns = self.began_ns + since
        return [p for p in points if first_ns <= p.at_ns <= self.ended_ns]


def absent(reason: str | None) -> Summary:
    """A figure that is not there, and why."""
    return {"value": None, "reason": reason or "nothing was read"}


def summary(
    metric: Metric,
    capability: Capability,
    points: Sequence[Point],
    windows: Sequence[Window],
    ended: str | None = None,
) -> Summary:
    """What the readings within some windows come to, or ``{"value": None, "reason": ...}``.

    ``ended`` says why readings stopped; a figure of what was read until then carries it. Windows
    that are too short for the metric do not count; ``seconds`` then says how long the others are.
    """
    if capability.reason:
        return absent(capability.reason)
    parts = [part for window in windows if (part := window.of(points, since=metric.since))]
    if not parts:
        return absent(ended)
    enough = [part for part in parts if _span_s(part) >= metric.min_s]
    if not enough:
        longest = max(map(_span_s, parts))
        short = f"window {longest:.1f} s < {metric.min_s:g} s"
        return absent(f"{short}: {ended}" if ended else short)
    count = sum(map(len, enough))
    if count < metric.min_n:
        return absent(f"{count} readings < {metric.min_n}")
    made = _made(metric, enough)
    if made.get("value", ...) is None:
        return made
    shorter = sum(map(_span_s, enough)) if len(enough) < len(parts) else None
    told: Summary = {
        "seconds": shorter and rounded(shorter),
        "note": capability.note,
        "reason": ended,
    }
    return made | {key: words for key, words in told.items() if words}


def growth(points: Sequence[Point]) -> Reading[float]:
    """By how much a counter grew; nothing where it went backwards."""
    if any(after.value < before.value for before, after in pairwise(points)):
        return Reading(None, "the counter went backwards")
    return Reading(points[-1].value - points[0].value)


def rounded(value: float) -> float:
    """As many digits as any sensor has; whole numbers stay whole."""
    return int(value) if float(value).is_integer() else float(f"{value:.{DIGITS}g}")


def _made(metric: Metric, parts: Sequence[Sequence[Point]]) -> Summary:
    values = [point.value for part in parts for point in part]
    match metric.kind:
        case "gauge":
            figures = {
                "mean": _mean(parts),
                "p50": median(values),
                "min": min(values),
                "max": max(values),
            }
            return {key: rounded(value) for key, value in figures.items()}
        case "counter" | "rate":
            return _grown(metric.kind, parts)
        case "peak":
            return {"value": rounded(max(values))}
        case "edge":
            return {"value": rounded(values[-1]), "start": rounded(values[0])}
        case "flags":
            seen = 0
            for value in values:
                seen |= int(value)
            return {"value": [name for bit, name in metric.flags.items() if seen & bit]}


def _grown(kind: Kind, parts: Sequence[Sequence[Point]]) -> Summary:
    total, span_s = 0.0, 0.0
    for part in parts:
        grown = growth(part)
        if grown.value is None:
            return absent(grown.reason)
        total, span_s = total + grown.value, span_s + _span_s(part)
    if span_s <= 0:
        return absent("a counter needs two readings")
    return {"value": rounded(total / span_s if kind == "rate" else total)}


def _mean(parts: Sequence[Sequence[Point]]) -> float:
    """Weighted by time (trapezoids), because readings at the edges come out of step."""
    area = sum(
        (b.at_ns - a.at_ns) * (a.value + b.value) / 2 for part in parts for a, b in pairwise(part)
    )
    span_ns = sum(part[-1].at_ns - part[0].at_ns for part in parts)
    return area / span_ns if span_ns else fmean(p.value for part in parts for p in part)


def _span_s(part: Sequence[Point]) -> float:
    return (part[-1].at_ns - part[0].at_ns) * NANO
