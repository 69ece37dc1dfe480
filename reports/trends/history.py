"""One case or one ratio over the stored runs of a machine: where it changed, and what came with it.

Machines are never mixed: a history is keyed by the id of a case and the fingerprint of a machine.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.runs.load import LoadError
from reports.runs.store import Entry, Point, point, ratio_key
from reports.trends.changes import change_points

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_RATIO_NAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run of a history.

    ``value`` is seconds or a ratio, ``None`` where ``reason`` says why; ``normalised`` is a time in
    canary loops. ``delta`` is the step from the last value, and ``change`` that of the level where
    a change point lies, both as fractions. ``versions`` are those that changed since the last run.
    """

    run_id: str
    started: str
    commit: str | None
    value: float | None
    ci95: tuple[float, float] | None
    normalised: float | None
    reason: str | None
    delta: float | None
    change: float | None
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A series of one machine.

    ``unit`` is ``s`` or ``ratio``; ``judged`` says in which values change points were sought;
    ``others`` are the machines whose runs are left out.
    """

    key: str
    unit: str
    judged: str
    fingerprint: str
    others: tuple[str, ...]
    rows: tuple[Row, ...]


def history(entries: Sequence[Entry], names: Sequence[str], machine: str | None = None) -> History:
    """The history of a case (one name) or of a ratio (a matchup and two stacks).

    Args:
        entries: the store, oldest first.
        names: the id of a case; or the id of a matchup, stack a and stack b.
        machine: a fingerprint; that of the newest run by default.

    Raises:
        LoadError: a name or a machine that the store does not hold.
    """
    entries = [e for e in entries if e.usable]
    machines = list(dict.fromkeys(e.fingerprint for e in reversed(entries)))
    chosen = machine if machine is not None else machines[0] if machines else ""
    ours = [e for e in entries if e.fingerprint == chosen]
    if not ours:
        raise LoadError(f"no run of machine {chosen!r}; there are: {', '.join(machines) or 'none'}")
    key, inverted = _key(ours, names)
    found = [(e, p) for e in ours if (p := point(e, key)) is not None]
    shown = [(e, _inverse(p)) for e, p in found] if inverted else found
    points = [p for _, p in shown]
    normalised = all(p.normalised for p in points if p.value)
    ratio = len(names) == _RATIO_NAMES
    return History(
        key=ratio_key(*names) if ratio else key,
        unit="ratio" if ratio else "s",
        judged="ratios" if ratio else "times in canary loops" if normalised else "times",
        fingerprint=chosen,
        others=tuple(m for m in machines if m != chosen),
        rows=_rows(shown, _steps(points, normalised=normalised)),
    )


def point_value(found: Point, *, normalised: bool) -> float | None:
    """The logarithm of what is compared from run to run."""
    value = found.normalised if normalised else found.value
    return math.log(value) if value else None


def version_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """``torch 2.9.0 → 2.10.0`` for each that differs; ``none`` where it is missing."""
    return tuple(
        f"{name} {before.get(name, 'none')} → {after.get(name, 'none')}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    )


def _key(entries: Sequence[Entry], names: Sequence[str]) -> tuple[str, bool]:
    """The key that is stored, and whether it is stored the other way round."""
    ratios = dict.fromkeys(key for e in reversed(entries) for key in e.ratios)
    cases = dict.fromkeys(key for e in reversed(entries) for key in e.cases)
    if len(names) == _RATIO_NAMES:
        matchup, a, b = names
        for key, inverted in ((ratio_key(matchup, a, b), False), (ratio_key(matchup, b, a), True)):
            if key in ratios:
                return key, inverted
        raise LoadError(f"no ratio {ratio_key(matchup, a, b)!r}; {_nearest(names, ratios)}")
    if len(names) != 1:
        raise LoadError("name a case, or a matchup and two stacks")
    if names[0] not in cases:
        raise LoadError(f"no case {names[0]!r}; {_nearest(names, cases)}")
    return names[0], False


def _nearest(names: Sequence[str], known: Iterable[str]) -> str:
    near = difflib.get_close_matches(" ".join(names), list(known), cutoff=0.0)
    return f"the nearest: {', '.join(near) or 'none'}"


def _inverse(found: Point) -> Point:
    if found.value is None:
        return found
    ends = found.ci95 and (1 / found.ci95[1], 1 / found.ci95[0])
    return Point(1 / found.value, ends)


def _steps(points: Sequence[Point], *, normalised: bool) -> dict[int, float]:
    """The relative change of level, by the index of the first point of the new one."""
    logs = [(i, point_value(p, normalised=normalised)) for i, p in enumerate(points)]
    known = [(i, log) for i, log in logs if log is not None]
    found = change_points([log for _, log in known])
    return {known[change.at][0]: math.expm1(change.log) for change in found}


def _rows(shown: Sequence[tuple[Entry, Point]], steps: Mapping[int, float]) -> tuple[Row, ...]:
    rows = []
    last_value: float | None = None
    last_versions = shown[0][0].versions
    for i, (entry, found) in enumerate(shown):
        delta = found.value / last_value - 1 if found.value and last_value else None
        rows.append(
            Row(
                run_id=entry.run_id,
                started=entry.started,
                commit=entry.commit,
                value=found.value,
                ci95=found.ci95,
                normalised=found.normalised,
                reason=found.reason,
                delta=delta,
                change=steps.get(i),
                versions=version_changes(last_versions, entry.versions),
            )
        )
        last_value, last_versions = found.value or last_value, entry.versions
    return tuple(rows)
