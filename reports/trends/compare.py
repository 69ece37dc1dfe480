"""Two runs of one machine: what moved, what is new, and how much of them could be compared.

The runs lie apart in time, so their launches do not pair up: the interval is Welch's (1947) over
the launches of both. A time also holds what the machine did in between; the ratio of two stacks,
which were interleaved in each run, does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, median, variance
from typing import TYPE_CHECKING, Any, Literal

from scipy.special import stdtrit

from benchmarks.results.statistics import MIN_MARGIN, launch_log_ratio
from benchmarks.results.statistics import margin as margin_over
from benchmarks.results.stored.codec import to_json
from benchmarks.results.wording import NO_REASON
from reports.runs.load import LoadError, sound, times
from reports.runs.store import fingerprint, ratio_key, versions
from reports.trends.history import version_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.results.records import Case, MatchupResult, Run, Verdict

Logs = tuple[float, ...]
_MACHINE = ("cpu", "cores", "memory_bytes", "gpu", "os", "kernel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A case or a ratio in both runs.

    ``before`` and ``after`` hold a logarithm per launch: of seconds, of canary loops, or of the
    ratio of stack b to stack a. ``log`` is the difference of their means, ``ci95`` its interval, or
    ``None`` where a side has one launch only. ``cases`` are the ids it is made of.
    """

    kind: Literal["time", "ratio"]
    key: str
    cases: tuple[str, ...]
    before: Logs
    after: Logs
    log: float
    ci95: tuple[float, float] | None

    @property
    def slower(self) -> str:
        """The case that takes longer than it did: alone, or in relation to the other."""
        return self.cases[-1] if self.log > 0 else self.cases[0]

    def clears(self, margin: float) -> bool:
        """Whether the whole interval lies beyond the margin, on either side."""
        edge = math.log1p(margin)
        return self.ci95 is not None and (self.ci95[0] > edge or self.ci95[1] < -edge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A case that had a time, or a ratio that had a verdict, and has none now; or the reverse."""

    what: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Run a against run b, which came later; shifts from the largest to the smallest.

    ``compared`` are the cases with a time in both, of ``total`` that either holds.
    """

    a: str
    b: str
    margin: float
    shifts: tuple[Shift, ...]
    compared: tuple[str, ...]
    total: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    failed: tuple[Failure, ...]
    mended: tuple[Failure, ...]
    versions: tuple[str, ...]

    @property
    def movers(self) -> tuple[Shift, ...]:
        """The shifts whose interval clears the margin."""
        return tuple(s for s in self.shifts if s.clears(self.margin))


def compare(a: Run, b: Run, margin: float | None = None, *, normalised: bool = False) -> Comparison:
    """What changed from run a to run b.

    Args:
        a: the earlier run.
        b: the later run of the same machine.
        margin: what an interval must clear, as a fraction; by default 2 % or the larger A/A floor.
        normalised: compare times in canary loops, and leave out those without; else in seconds.

    Raises:
        LoadError: the runs are not of the same machine; the text says what differs.
    """
    if reason := refusal(a, b):
        raise LoadError(f"{a.run_id} and {b.run_id} cannot be compared: {reason}")
    old, new = _cases(a), _cases(b)
    both = [key for key in old if key in new]
    valid = [key for key in both if _valid(old[key]) and _valid(new[key])]
    times = (_time(old[key], new[key], normalised=normalised) for key in valid)
    shifts = [*filter(None, times), *_ratios(a, b)]
    return Comparison(
        a=a.run_id,
        b=b.run_id,
        margin=_margin(a, b) if margin is None else margin,
        shifts=tuple(sorted(shifts, key=lambda s: -abs(s.log))),
        compared=tuple(valid),
        total=len(old | new),
        only_a=tuple(key for key in old if key not in new),
        only_b=tuple(key for key in new if key not in old),
        failed=(*_lost(old, new), *_lost_ratios(a, b)),
        mended=(*_lost(new, old), *_lost_ratios(b, a)),
        versions=version_changes(versions(a), versions(b)),
    )


def as_json(done: Comparison) -> dict[str, Any]:
    """One document; movers come first among the shifts."""
    rest = [s for s in done.shifts if s not in done.movers]
    shifts = [shift_json(s) | {"mover": s in done.movers} for s in (*done.movers, *rest)]
    return {"schema": 1, **to_json(done), "shifts": shifts}


def shift_json(found: Shift) -> dict[str, Any]:
    """A shift as plain data: factors instead of logarithms, above 1 where b's takes longer."""
    return {
        "kind": found.kind,
        "key": found.key,
        "cases": list(found.cases),
        "factor": math.exp(found.log),
        "ci95": [math.exp(end) for end in found.ci95] if found.ci95 else None,
        "launches": [len(found.before), len(found.after)],
    }


def refusal(a: Run, b: Run) -> str | None:
    """Why two runs are not of one machine and one set of variables, or ``None``."""
    if fingerprint(a) and fingerprint(a) == fingerprint(b):
        return None
    differing = [
        f"{name} {getattr(a.environment, name)} against {getattr(b.environment, name)}"
        for name in _MACHINE
        if getattr(a.environment, name) != getattr(b.environment, name)
    ]
    prints = f"machine {fingerprint(a) or 'unknown'} against {fingerprint(b) or 'unknown'}"
    before, after = a.environment.variables, b.environment.variables
    differing += [
        f"{name} {before.get(name, 'not set')} against {after.get(name, 'not set')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
    return "; ".join([prints, *differing])


def shift(kind: Literal["time", "ratio"], key: str, ids: Sequence[str], *sides: Logs) -> Shift:
    """The difference of the means of two sides with its 95 % interval by Welch's t."""
    before, after = sides
    log, ci95 = fmean(after) - fmean(before), None
    if min(len(before), len(after)) > 1:
        parts = [(variance(side) / len(side), len(side) - 1) for side in sides]
        squared = sum(part for part, _ in parts)
        half = 0.0
        if squared > 0:
            freedom = squared**2 / sum(part**2 / free for part, free in parts)
            half = float(stdtrit(freedom, 0.975)) * math.sqrt(squared)
        ci95 = (log - half, log + half)
    return Shift(
        kind=kind, key=key, cases=tuple(ids), before=before, after=after, log=log, ci95=ci95
    )


def pooled(found: Shift, more: Run) -> Shift | None:
    """The same with the launches of a confirming run added, or ``None`` where that run has none."""
    extra = _repeated(found, more)
    if not extra:
        return None
    return shift(found.kind, found.key, found.cases, found.before, found.after + extra)


def seen_again(found: Shift, more: Run, margin: float) -> bool:
    """Whether the launches of a confirming run show the shift by themselves.

    Their own interval lies on the shift's side of no change; where they are one launch, which has
    none, it lies beyond the margin. Without this, a first run that was far off would confirm itself
    through the mean of both.
    """
    extra = _repeated(found, more)
    if not extra:
        return False
    alone = shift(found.kind, found.key, found.cases, found.before, extra)
    if alone.ci95 is None:
        return alone.log * found.log > 0 and abs(alone.log) > math.log1p(margin)
    return all(end * found.log > 0 for end in alone.ci95)


def _repeated(found: Shift, more: Run) -> Logs:
    """A shift's logarithms of a confirming run, by launch; empty where it has none."""
    if found.kind == "ratio":
        return _ratio_logs(more).get(found.key, ())
    case = _cases(more).get(found.key)
    return case_logs(case, normalised=True) if case and _valid(case) else ()


def case_logs(case: Case, *, normalised: bool) -> Logs:
    """The logarithm of the median of each launch, in seconds or in canary loops.

    Empty where canary loops are asked and a launch has none.
    """
    launches = [launch for launch in case.launches if launch.samples_s]
    canaries = [one.interference.canary_s if one.interference else None for one in launches]
    loops = times(c for c in canaries if c is not None) if normalised else (1.0,) * len(launches)
    if len(loops) != len(launches):
        return ()
    medians = (median(launch.samples_s) for launch in launches)
    return tuple(math.log(m / loop) for m, loop in zip(medians, loops, strict=True))


def _time(old: Case, new: Case, *, normalised: bool) -> Shift | None:
    sides = [case_logs(case, normalised=normalised) for case in (old, new)]
    return shift("time", old.id, [old.id], *sides) if all(sides) else None


def _ratios(a: Run, b: Run) -> list[Shift]:
    old, new = _ratio_logs(a), _ratio_logs(b)
    found = []
    for result in a.matchups:
        for verdict in result.verdicts:
            key = _key(result, verdict)
            if old.get(key) and new.get(key):
                ids = [result.matchup.case_id(stack) for stack in (verdict.a, verdict.b)]
                found.append(shift("ratio", key, ids, old[key], new[key]))
    return found


def _ratio_logs(run: Run) -> dict[str, Logs]:
    """Per ratio that has a verdict the log-ratio of each launch."""
    found = {}
    for result in run.matchups:
        cases = {case.stack: sound(case) for case in result.cases}
        for verdict in result.verdicts:
            if verdict.verdict != "not comparable" and {verdict.a, verdict.b} <= cases.keys():
                found[_key(result, verdict)] = _paired(cases[verdict.a], cases[verdict.b])
    return found


def _paired(a: Case, b: Case) -> Logs:
    of_b = {launch.index: launch.samples_s for launch in b.launches}
    pairs = [(launch.samples_s, of_b.get(launch.index, ())) for launch in a.launches]
    return tuple(launch_log_ratio(x, y) for x, y in pairs if x and len(x) == len(y))


def _lost(old: dict[str, Case], new: dict[str, Case]) -> list[Failure]:
    return [
        Failure(what=key, status=new[key].status, reason=new[key].reason or "no valid sample")
        for key, case in old.items()
        if _valid(case) and key in new and not _valid(new[key])
    ]


def _lost_ratios(a: Run, b: Run) -> list[Failure]:
    """Verdicts that are gone although both cases still have a time."""
    old = _ratio_logs(a)
    valid = {key for key, case in _cases(b).items() if _valid(case)}
    return [
        Failure(
            what=_key(result, verdict),
            status="not comparable",
            reason=verdict.reason or NO_REASON,
        )
        for result in b.matchups
        for verdict in result.verdicts
        if verdict.verdict == "not comparable"
        and old.get(_key(result, verdict))
        and valid.issuperset(result.matchup.case_id(s) for s in (verdict.a, verdict.b))
    ]


def _key(result: MatchupResult, verdict: Verdict) -> str:
    return ratio_key(result.matchup.id, verdict.a, verdict.b)


def _cases(run: Run) -> dict[str, Case]:
    return {case.id: sound(case) for result in run.matchups for case in result.cases}


def _valid(case: Case) -> bool:
    return case.status == "ok" and bool(case.samples_s)


def _margin(a: Run, b: Run) -> float:
    """2 %, or the larger A/A floor of the two runs."""
    floors = [run.aa_floor.value for run in (a, b)]
    return max([MIN_MARGIN, *(margin_over(f) for f in floors if f is not None and f >= 0)])
