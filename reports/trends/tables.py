"""What history, compare and check show in a terminal. Names come from files: each is cleaned."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks.results import wording
from benchmarks.results.records import Exit
from reports.contents import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

    from reports.trends.check import Check, Flag
    from reports.trends.compare import Comparison, Failure, Shift
    from reports.trends.history import History, Row

LONG = 120  # of a name: an id is shown whole, so that it can be copied
VERDICTS = {
    Exit.OK: "passed",
    Exit.REGRESSION: "regression",
    Exit.INCOMPLETE: "incomplete",
    Exit.PARITY: "parity failed",
    Exit.NOTHING: "nothing could be judged",
}


def history(shown: History) -> tuple[RenderableType, ...]:
    """The series as a table, and what it was judged by."""
    loops = any(row.normalised is not None for row in shown.rows)
    table = _table(
        "date",
        "run",
        "ratio" if shown.unit == "ratio" else "median",
        "95 % interval",
        *(["canary loops"] if loops else []),
        "step",
        "marks",
    )
    for row in shown.rows:
        normalised = [wording.factor(row.normalised) if row.normalised else wording.ABSENT]
        table.add_row(
            text.moment(text.name(row.started)),
            text.name(row.run_id),
            *_value(shown, row),
            *(normalised if loops else []),
            _percent(row.delta),
            _marks(row),
        )
    lines = [f"{text.name(shown.key, LONG)} on machine {text.name(shown.fingerprint)}"]
    changes = sum(row.change is not None for row in shown.rows)
    last = [f"{wording.plural(changes, 'change point')}, sought in {shown.judged}"]
    if shown.others:
        machines = ", ".join(text.name(m) for m in shown.others)
        last.append(f"runs of other machines are left out: {machines} (see --fingerprint)")
    return (*lines, table, *last)


def comparison(done: Comparison) -> tuple[RenderableType, ...]:
    """Movers first, then what kept still, what is new, and how much could be compared."""
    parts: list[RenderableType] = [f"{text.name(done.a)} → {text.name(done.b)}"]
    if done.versions:
        parts.append("new versions: " + ", ".join(text.name(v) for v in done.versions))
    movers = done.movers
    if movers:
        table = _table("moved", "kind", "change", "95 % interval", "launches")
        for found in movers:
            table.add_row(*_shift(found))
        parts.append(table)
    open_ended = sum(s.ci95 is None for s in done.shifts)
    still = len(done.shifts) - len(movers) - open_ended
    parts.append(
        f"{len(movers)} moved by more than {100 * done.margin:.3g} % for sure, {still} did not, "
        f"{open_ended} have one launch on a side and so no interval"
    )
    parts.append(f"{len(done.compared)} of {wording.plural(done.total, 'case')} compared")
    parts += _named(f"only in {text.name(done.a)}", done.only_a)
    parts += _named(f"only in {text.name(done.b)}", done.only_b)
    parts += _failures("new failure", done.failed)
    parts += [f"mended: {text.name(m.what, LONG)}" for m in done.mended]
    return tuple(parts)


def check(done: Check) -> tuple[RenderableType, ...]:
    """Every flag with its evidence, what could not be judged, and the verdict."""
    judged = (
        f"{wording.plural(done.ratios, 'ratio')} and {wording.plural(done.times, 'time')} judged"
    )
    parts: list[RenderableType] = [
        f"{text.name(done.run)} against the baseline {text.name(done.baseline)}",
        f"{judged}, {len(done.flags)} flagged",
    ]
    parts += map(_flag, done.flags)
    if done.confirmation:
        parts.append(f"measured again in {text.name(done.confirmation)}")
    if done.blind:
        parts.append(
            f"{wording.plural(len(done.blind), 'time')} not judged: without a canary loop in every "
            "launch, or with one launch, a time also tells what else the machine did"
        )
    parts += _failures("new failure", done.failed)
    parts += _named("missing", done.missing)
    parts.append(f"verdict: {VERDICTS[Exit(done.exit)]}")
    return tuple(parts)


def _flag(flag: Flag) -> str:
    """A line and no row: ids are long, and this is what a log is searched for."""
    found, word = flag.found, "regression" if flag.regressed else "not confirmed"
    what = text.name(found.slower, LONG)
    against = "" if found.kind == "time" else " in relation to the other stack"
    words = f"{word}: {what} slower{against}: {_change(found)}, allowed ±"
    words += f"{100 * math.expm1(flag.fence):.1f} %"
    return words + (f"; with the re-run {_change(flag.pooled)}" if flag.pooled else "")


def _shift(found: Shift) -> tuple[str, ...]:
    return (
        text.name(found.key, LONG),
        found.kind,
        _percent(math.expm1(found.log)),
        _interval(found),
        f"{len(found.before)} → {len(found.after)}",
    )


def _change(found: Shift) -> str:
    return f"{_percent(math.expm1(found.log))} {_interval(found)}"


def _interval(found: Shift) -> str:
    if found.ci95 is None:
        return "[no interval]"
    low, high = (_percent(math.expm1(end)) for end in found.ci95)
    return f"[{low}, {high}]"


def _value(shown: History, row: Row) -> tuple[str, str]:
    if row.value is None:
        return wording.ABSENT, text.brief(row.reason or "", 80)
    if shown.unit == "ratio":
        return wording.times(row.value), wording.interval(*row.ci95) if row.ci95 else wording.ABSENT
    ends = [wording.duration(end) for end in row.ci95 or ()]
    return wording.duration(row.value), f"[{', '.join(ends)}]" if ends else wording.ABSENT


def _marks(row: Row) -> str:
    change = [f"▲ level {_percent(row.change)}"] if row.change is not None else []
    return ", ".join([*change, *(text.name(version) for version in row.versions)])


def _percent(fraction: float | None) -> str:
    if fraction is None or not math.isfinite(fraction):
        return wording.ABSENT
    return f"{100 * fraction:+.1f} %"


def _named(what: str, ids: Sequence[str]) -> list[str]:
    return [f"{what}: {', '.join(text.name(i, LONG) for i in ids)}"] if ids else []


def _failures(what: str, failed: Iterable[Failure]) -> list[str]:
    return [
        f"{what}: {text.name(f.what, LONG)}: {text.name(f.status)}: {text.brief(f.reason, 200)}"
        for f in failed
    ]


def _table(*columns: str) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
