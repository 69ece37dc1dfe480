"""What the stored runs say, in one line per run, so that thousands of them are read in seconds.

The run folders are the truth. The lines lie beside them in a cache: one that is missing, damaged or
older than its run is made again, so processes that write at the same time can only double work.
"""

from __future__ import annotations

import gc
import json
import math
import os
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import frameworks
from benchmarks.results.statistics import estimate
from benchmarks.results.stored import files
from benchmarks.results.stored.codec import RecordError, compact, decode
from benchmarks.results.stored.files import replace
from benchmarks.results.wording import NO_REASON, edited
from reports.runs.files import append
from reports.runs.load import NAMES, LoadError, NoRunError, load, possible, times

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.results.records import Run

INDEX = ".history.ndjson"
FORMAT = 5  # of a line; the next number makes every line anew
BATCH = 200  # so that an interrupt keeps what was read

_SEAL = b',"sum":"%08x"}'
_SEAL_BYTES = len(_SEAL % 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLine:
    """A case in a run's line: its median, and per launch the median and the canary's loop."""

    status: str
    reason: str | None
    median_s: float | None
    launches_s: tuple[float, ...]
    canary_s: tuple[float, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioLine:
    """A verdict in a run's line."""

    verdict: str
    reason: str | None
    ratio: float | None
    ci95: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A run in one line.

    ``confirmation`` marks the re-run of a few cases (``--only``): no point of a history, as one
    that was ``edited``. ``cases`` are by id, ``ratios`` by ``MATCHUP STACK_A STACK_B``.
    """

    folder: str
    run_id: str
    started: str
    fingerprint: str
    exit: int
    confirmation: bool
    commit: str | None
    versions: dict[str, str]
    cases: dict[str, CaseLine]
    ratios: dict[str, RatioLine]
    edited: bool = False

    @property
    def usable(self) -> bool:
        """Whether it is a point of a history."""
        return not self.confirmation and not self.edited


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the cache; ``stamp`` is when its file was modified, in ns, and its size."""

    format: int
    stamp: tuple[int, int]
    entry: Entry


@dataclass(frozen=True, slots=True)
class _Canary:
    canary_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Launch:
    samples_s: tuple[float, ...]
    interference: _Canary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    id: str
    status: str
    reason: str | None = None
    launches: tuple[_Launch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict(RatioLine):
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class _Result:
    id: str
    cases: tuple[_Case, ...]
    verdicts: tuple[_Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class _Machine:
    fingerprint: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    versions: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What a history needs of run.json, alike in every schema; the rest is not decoded."""

    schema: int
    run_id: str
    started: str
    exit: int
    command: tuple[str, ...]
    environment: _Machine
    matchups: tuple[_Result, ...]


class Stored(NamedTuple):
    """The runs of a store, oldest first, and a line for each that was skipped or is edited."""

    entries: tuple[Entry, ...]
    skipped: tuple[str, ...]


class Point(NamedTuple):
    """One figure in one run; ``value`` is ``None`` where ``reason`` says why.

    A time is in seconds, and ``normalised`` in canary loops; ``ci95`` is that of ``value``.
    """

    value: float | None
    ci95: tuple[float, float] | None = None
    normalised: float | None = None
    reason: str | None = None


def read(out: Path) -> Stored:
    """Every run below ``out``, from the cache where that is fresh.

    Raises:
        NoRunError: there is no folder or no run.
    """
    with _without_collection():
        return _read(out)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Leave garbage uncollected: records hold no cycles, and the search takes half the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(out: Path) -> Stored:
    known, lines = _cached(out / INDEX)
    kept, skipped, fresh = list[_Line](), list[str](), list[_Line]()
    for folder, file, stamp in _run_files(out):
        line = known.get(folder)
        if line is None or line.stamp != stamp:
            try:
                line = _Line(FORMAT, stamp, _entry(folder, *load(_Run, file)))
            except LoadError as error:
                skipped.append(f"skipped: {error}")
                continue
            fresh.append(line)
        kept.append(line)
        if len(fresh) == BATCH:
            lines += _keep(out / INDEX, fresh)
    lines += _keep(out / INDEX, fresh)
    if lines > 2 * len(kept) + BATCH:  # most of it is about runs that are gone or were replaced
        with suppress(OSError):
            replace(out / INDEX, b"".join(_sealed(line) + b"\n" for line in kept))
    if not kept and not skipped:
        raise NoRunError(f"no run below {out}: start one with 'python -m benchmarks run'")
    entries = sorted((line.entry for line in kept), key=lambda e: (e.started, e.folder))
    skipped += [f"left out: {edited(e.run_id)}" for e in entries if e.edited]
    return Stored(tuple(entries), tuple(skipped))


def ratio_key(matchup: str, a: str, b: str) -> str:
    """The key of a ratio in ``Entry.ratios``."""
    return f"{matchup} {a} {b}"


def point(entry: Entry, key: str) -> Point | None:
    """What a run says about a case or a ratio; ``None`` where it does not know it."""
    try:
        if key in entry.ratios:
            return _ratio_point(entry.ratios[key])
        return _case_point(entry.cases[key]) if key in entry.cases else None
    except (ValueError, ArithmeticError) as error:  # times too far apart for a number
        return Point(None, reason=str(error))


def fingerprint(run: Run) -> str:
    """What tells the machine of a run from others, and the variables that its workers got.

    Empty where the machine was not recorded. Runs with other variables are not compared.
    """
    return _fingerprint(run.environment.fingerprint, run.environment.variables)


def _fingerprint(machine: str, found: Mapping[str, str]) -> str:
    if not machine or not found:
        return machine
    return f"{machine}-{zlib.crc32(json.dumps(sorted(found.items())).encode()):08x}"


def is_confirmation(run: Run | _Run) -> bool:
    """Whether only some cases of another run were made again."""
    return "--only" in run.command


def versions(run: Run | _Run) -> dict[str, str]:
    """The versions whose changes a history marks."""
    found = run.environment.versions
    marked = (*frameworks.packages(), "numpy", "twinbench")
    return {name: version for name in marked if (version := found.get(name))}


def _case_point(case: CaseLine) -> Point:
    if case.status != "ok" or case.median_s is None or not possible(case.median_s):
        return Point(None, reason=f"{case.status}: {case.reason or 'no valid time'}")
    ci95 = estimate([math.log(s) for s in case.launches_s]).ci95
    if case.canary_s is None:
        return Point(case.median_s, ci95)
    loops = [math.log(s / c) for s, c in zip(case.launches_s, case.canary_s, strict=True)]
    return Point(case.median_s, ci95, estimate(loops).ratio)


def _ratio_point(verdict: RatioLine) -> Point:
    if verdict.verdict == "not comparable" or verdict.ratio is None or not possible(verdict.ratio):
        return Point(None, reason=verdict.reason or NO_REASON)
    ends = verdict.ci95 and all(map(possible, verdict.ci95))
    return Point(verdict.ratio, verdict.ci95 if ends else None)


def _entry(folder: str, run: _Run, changed: bool) -> Entry:
    return Entry(
        folder=folder,
        run_id=run.run_id,
        started=run.started,
        fingerprint=_fingerprint(run.environment.fingerprint, run.environment.variables),
        exit=run.exit,
        confirmation=is_confirmation(run),
        commit=run.environment.commit,
        versions=versions(run),
        cases={case.id: _case(case) for r in run.matchups for case in r.cases},
        ratios={
            ratio_key(r.id, v.a, v.b): RatioLine(
                verdict=v.verdict, reason=v.reason, ratio=v.ratio, ci95=v.ci95
            )
            for r in run.matchups
            for v in r.verdicts
        },
        edited=changed,
    )


def _case(case: _Case) -> CaseLine:
    """Samples that are no times are left out, as everywhere."""
    timed = [(s, launch) for launch in case.launches if (s := times(launch.samples_s))]
    canaries = [one.interference.canary_s if one.interference else None for _, one in timed]
    known = times(c for c in canaries if c is not None)
    return CaseLine(
        status=case.status,
        reason=case.reason,
        median_s=median([s for samples, _ in timed for s in samples]) if timed else None,
        launches_s=tuple(median(samples) for samples, _ in timed),
        canary_s=known if known and len(known) == len(timed) else None,
    )


def _run_files(out: Path) -> Iterator[tuple[str, Path, tuple[int, int]]]:
    """Folder, file and stamp of every run; a folder without one is a run that goes on."""
    try:
        folders = sorted(e.name for e in os.scandir(out) if e.is_dir(follow_symlinks=False))
    except OSError as error:
        raise NoRunError(f"no run below {out}: {error.strerror}") from error
    for folder in folders:
        for name in NAMES:
            file = out / folder / name
            with suppress(OSError):
                found = file.stat()
                yield folder, file, (found.st_mtime_ns, found.st_size)
                break


def _cached(index: Path) -> tuple[dict[str, _Line], int]:
    """The last good line of each folder, and how many lines there are."""
    try:
        lines = files.lines(index)
    except OSError:
        return {}, 0
    return {line.entry.folder: line for line in map(_unsealed, lines) if line}, len(lines)


def _keep(index: Path, fresh: list[_Line]) -> int:
    """Add the lines of ``fresh``, which is empty then; returns how many they were."""
    count = len(fresh)
    if fresh:
        with suppress(OSError):  # a store that cannot be written is still read
            append(index, map(_sealed, fresh))
    fresh.clear()
    return count


def _sealed(line: _Line) -> bytes:
    body = compact(line)
    return body[:-1] + _SEAL % zlib.crc32(body)


def _unsealed(line: bytes) -> _Line | None:
    """What was written, or ``None`` where the line is damaged or of another format."""
    body = line[:-_SEAL_BYTES] + b"}"
    if body[:-1] + _SEAL % zlib.crc32(body) != line:
        return None
    try:
        found = decode(_Line, body)
    except RecordError:
        return None
    return found if found.format == FORMAT else None
