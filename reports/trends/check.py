"""The gate for CI: a run against a baseline, with a second look before anyone is told off.

One run proves nothing: a flagged case is measured again, and fails only where the launches of both
runs together leave no doubt. Ratios are judged because the machine's drift cancels in them; times
only in canary loops, for the same reason.
"""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from benchmarks.results.records import Exit, Run
from benchmarks.results.stored.codec import RecordError, decode_run, to_json
from reports.runs.baselines import LATEST_OK, chosen, latest_ok, mark, marks
from reports.runs.load import LoadError, find, load_run, unedited
from reports.runs.store import Entry, fingerprint, point, read
from reports.trends.compare import (
    Comparison,
    Failure,
    Shift,
    compare,
    pooled,
    seen_again,
    shift_json,
)
from reports.trends.history import point_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Remeasure = Callable[[Run, Sequence[str], Path], Run]

ROOT = Path(__file__).parent.parent
COMMAND = ("python", "-m", "benchmarks", "run")
REPEATED = {
    "--models": True,
    "--phases": True,
    "--stacks": True,
    "--device": True,
    "--precision": True,
    "--batch": True,
    "--size": True,
    "--effort": True,
    "--policy": True,
    "--launches": True,
    "--until-ci": True,
    "--budget": True,
    "--seed": True,
    "--timeout": True,
    "--shard": True,
    "--data": True,
    "--no-telemetry": False,
    "--profile": False,
    "--equalize": False,
}
"""Flags of a stored command that are repeated, and whether each takes a value."""
AGAIN = ("--models-dir", "--data-dir", "--python", "--env")
"""Flags of it that are not: they say what is run, read or handed on, and must be given again."""
MIN_DELTAS = 4


class RemeasureError(RuntimeError):
    """The flagged cases could not be measured again; ``exit`` says why where it is worth saying."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the flagged cases could not be measured again: exit {code}")
        passed_on = code in {Exit.LOCKED, Exit.INTERRUPTED}
        self.exit = Exit(code) if passed_on else Exit.INCOMPLETE


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A shift that is unlike the past; ``pooled`` holds the confirming launches as well, if any.

    ``fence`` is how far the key may move from run to run, as the logarithm of a factor.
    """

    found: Shift
    fence: float
    pooled: Shift | None
    regressed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What the gate says.

    ``times`` and ``ratios`` count what was judged; ``blind`` names the cases whose time was not,
    because a canary or a second launch is missing.
    """

    run: str
    baseline: str
    exit: int
    margin: float
    times: int
    ratios: int
    blind: tuple[str, ...]
    flags: tuple[Flag, ...]
    failed: tuple[Failure, ...]
    missing: tuple[str, ...]
    confirmation: str | None


def gate(
    out: Path,
    name: str | None,
    baseline: str,
    margin: float,
    *,
    allow_missing: bool = False,
    remeasure: Remeasure | None,
) -> tuple[Check, tuple[str, ...]]:
    """Check a run, and write down what came of it.

    Args:
        out: the store.
        name: a run; the newest that is no confirmation by default.
        baseline: a run, or ``latest-ok``.
        margin: what an interval must clear, as a fraction.
        allow_missing: whether cases may vanish.
        remeasure: measures cases again; ``None`` judges by the run alone.

    Returns:
        The check, and a line for each file of the store that was skipped.

    Raises:
        NoRunError: there is no run to check, or no baseline.
        LoadError: they cannot be read, or are not of one machine.
        EditedError: the run, or a baseline that was named, is not as it was written.
        RemeasureError: flagged cases could not be measured again; the run stays flagged.
    """
    entries, skipped = read(out)
    run = unedited(load_run(chosen(entries, name, out)))
    if baseline == LATEST_OK:
        base = load_run(out / latest_ok(entries, marks(out), run).folder)
    else:
        base = unedited(load_run(find(baseline, out)))
    seen = compare(base, run, normalised=True)
    flags, confirmation = _flags(seen, _past(entries, run), margin), None
    if flags and remeasure:
        mark(out, run.run_id, "flagged")
        cases = dict.fromkeys(case for flag in flags for case in flag.found.cases)
        confirmation = remeasure(run, tuple(cases), out)
        flags = [_confirmed(flag, confirmation, margin) for flag in flags]
    done = _judged(seen, flags, margin, confirmation, allow_missing=allow_missing)
    if done.exit != Exit.NOTHING:
        mark(out, run.run_id, "failed" if done.exit else "cleared" if flags else "passed")
    return done, skipped


def _past(entries: Sequence[Entry], run: Run) -> list[Entry]:
    """The usable runs of the same machine before this one."""
    return [
        e
        for e in entries
        if e.fingerprint == fingerprint(run)
        and e.usable
        and e.started <= run.started
        and e.run_id != run.run_id
    ]


def as_json(done: Check) -> dict[str, Any]:
    """One document; a flag's fence and shifts are factors, above 1 where it takes longer."""
    flags = [
        {
            "fence": math.exp(flag.fence),
            "found": shift_json(flag.found),
            "pooled": shift_json(flag.pooled) if flag.pooled else None,
            "regressed": flag.regressed,
            "slower": flag.found.slower,
        }
        for flag in done.flags
    ]
    return {"schema": 1, **to_json(done), "flags": flags}


def fence(past: Sequence[Entry], key: str, *, normalised: bool) -> float | None:
    """How far a key moves from run to run: Q3 + 3 IQR of its steps, as rustc-perf does.

    Returns the logarithm of a factor; ``None`` where there are fewer than 4 steps.
    """
    points = [found for e in past if (found := point(e, key)) is not None]
    logs = [log for p in points if (log := point_value(p, normalised=normalised)) is not None]
    steps = [abs(y - x) for x, y in itertools.pairwise(logs)]
    if len(steps) < MIN_DELTAS:
        return None
    first, _, third = quantiles(steps, n=4, method="inclusive")
    return third + 3 * (third - first)


def measure_again(
    run: Run,
    cases: Sequence[str],
    out: Path,
    given: Mapping[str, Sequence[str]] | None = None,
) -> Run:
    """Make new launches of some cases of a run, with its selection.

    ``given`` are the values of flags in ``AGAIN``, which a stored command does not decide.

    Raises:
        LoadError: the run was not made by ``benchmarks run``, or with flags that are not given.
        RemeasureError: the cases gave no run.
    """
    asked = [*_selected(run, given or {}), f"--only={','.join(cases)}", f"--out={out.resolve()}"]
    done = subprocess.run(
        # Not from ROOT, because paths that were given are relative to here; and not with this
        # folder on the path, which may hold another ``benchmarks``.
        [sys.executable, "-P", *COMMAND[1:], *asked, "--json"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        return decode_run(done.stdout.encode())
    except RecordError as error:
        raise RemeasureError(done.returncode) from error


def _selected(run: Run, given: Mapping[str, Sequence[str]]) -> list[str]:
    """The arguments that make a run's selection again; each is one word, so no value is a flag."""
    if run.command[: len(COMMAND)] != COMMAND:
        raise LoadError(f"{run.run_id} was not made by '{' '.join(COMMAND)}': cannot repeat it")
    words, asked, had = iter(run.command[len(COMMAND) :]), list[str](), dict[str, None]()
    for flag in words:
        value = next(words, None) if REPEATED.get(flag, True) else ""
        if value is None or flag not in {*REPEATED, *AGAIN, "--only"}:
            raise LoadError(f"{run.run_id} cannot be repeated: {flag!r} is no flag of a selection")
        if flag in AGAIN:
            had[flag] = None
        elif flag in REPEATED:
            asked.append(f"{flag}={value}" if REPEATED[flag] else flag)
    lacking = [flag for flag in had if not given.get(flag)]
    if lacking:
        raise LoadError(
            f"{run.run_id} cannot be repeated by itself: give {', '.join(lacking)} again"
        )
    return asked + [f"{flag}={value}" for flag, values in given.items() for value in values]


def _flags(seen: Comparison, past: Sequence[Entry], margin: float) -> list[Flag]:
    flags = []
    for moved in seen.shifts:
        usual = fence(past, moved.key, normalised=moved.kind == "time")
        edge = max(math.log1p(margin), usual or 0.0)
        worse = moved.log if moved.kind == "time" else abs(moved.log)
        if worse > edge and _provable(moved):
            regressed = moved.clears(margin)
            flags.append(Flag(found=moved, fence=edge, pooled=None, regressed=regressed))
    return flags


def _provable(moved: Shift) -> bool:
    """Whether more launches after the change can give an interval: one before never will."""
    return len(moved.before) > 1


def _confirmed(flag: Flag, confirmation: Run, margin: float) -> Flag:
    both = pooled(flag.found, confirmation)
    worse = both is not None and both.clears(margin) and both.log * flag.found.log > 0
    worse = worse and seen_again(flag.found, confirmation, margin)
    return Flag(found=flag.found, fence=flag.fence, pooled=both, regressed=worse)


def _judged(
    seen: Comparison,
    flags: Sequence[Flag],
    margin: float,
    confirmation: Run | None,
    *,
    allow_missing: bool,
) -> Check:
    times = {s.key for s in seen.shifts if s.kind == "time" and _provable(s)}
    ratios = {s.key for s in seen.shifts if s.kind == "ratio" and _provable(s)}
    unconfirmed = (
        Failure(what=f.found.key, status="unconfirmed", reason="it failed when it was repeated")
        for f in flags
        if confirmation and f.pooled is None
    )
    failed = (*seen.failed, *unconfirmed)
    code = _exit(failed, () if allow_missing else seen.only_a, flags)
    if code == Exit.OK and not times | ratios:
        code = Exit.NOTHING  # a gate that saw nothing has not let it pass
    return Check(
        run=seen.b,
        baseline=seen.a,
        exit=code,
        margin=margin,
        times=len(times),
        ratios=len(ratios),
        blind=tuple(key for key in seen.compared if key not in times),
        flags=tuple(flags),
        failed=failed,
        missing=seen.only_a,
        confirmation=confirmation.run_id if confirmation else None,
    )


def _exit(failed: Sequence[Failure], missing: Sequence[str], flags: Sequence[Flag]) -> Exit:
    """The gravest of what was found, in the order of the exit codes of a run."""
    if any(f.status == "parity_failed" for f in failed):
        return Exit.PARITY
    if failed or missing:
        return Exit.INCOMPLETE
    return Exit.REGRESSION if any(f.regressed for f in flags) else Exit.OK
