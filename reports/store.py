"""What the stored runs say, in one line per run, so that thousands of them are read in seconds.

The run folders are the truth. The lines lie beside them in a cache: one that is missing, damaged or
older than its run is made again, so processes that write at the same time can only double work.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import frameworks
from benchmarks.results import files
from benchmarks.results.records import from_json
from benchmarks.results.statistics import estimate
from reports.files import append, write
from reports.load import NAMES, LoadError, NoRunError, load_run, number, sound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.results.records import Case, Launch, Run, Verdict

INDEX = ".history.ndjson"
FORMAT = 3  # of a line; the next number makes every line anew
BATCH = 200  # so that an interrupt keeps what was read

_SEAL = b',"sum":"%08x"}'
_SEAL_BYTES = len(_SEAL % 0)
_Record = dict[str, Any]
_Stamp = list[int]  # modified, in nanoseconds, and size in bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A run in one line.

    ``confirmation`` marks the re-run of a few cases (``--only``): no point of a history.
    ``cases`` by id: status, reason, median_s, and per launch launches_s and canary_s.
    ``ratios`` by ``MATCHUP STACK_A STACK_B``: verdict, reason, ratio and ci95.
    """

    folder: str
    run_id: str
    started: str
    fingerprint: str
    exit: int
    confirmation: bool
    commit: str | None
    versions: dict[str, str]
    cases: dict[str, dict[str, Any]]
    ratios: dict[str, dict[str, Any]]


class Stored(NamedTuple):
    """The runs of a store, oldest first, and a line for each file that was skipped."""

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
    known, lines = _cached(out / INDEX)
    kept, skipped, fresh = list[_Record](), list[str](), list[_Record]()
    for folder, file, stamp in _run_files(out):
        record = known.get(folder)
        if record is None or record["stamp"] != stamp:
            try:
                entry = asdict(_entry(folder, load_run(file)))
            except LoadError as error:
                skipped.append(f"skipped: {error}")
                continue
            record = {"format": FORMAT, "stamp": stamp, "entry": entry}
            fresh.append(record)
        kept.append(record)
        if len(fresh) == BATCH:
            lines += _keep(out / INDEX, fresh)
    lines += _keep(out / INDEX, fresh)
    if lines > 2 * len(kept) + BATCH:  # most of it is about runs that are gone or were replaced
        with suppress(OSError):
            write(out / INDEX, b"".join(_sealed(record) + b"\n" for record in kept))
    if not kept and not skipped:
        raise NoRunError(f"no run below {out}: start one with 'python -m benchmarks run'")
    entries = (Entry(**record["entry"]) for record in kept)
    return Stored(tuple(sorted(entries, key=lambda e: (e.started, e.folder))), tuple(skipped))


def ratio_key(matchup: str, a: str, b: str) -> str:
    """The key of a ratio in ``Entry.ratios``."""
    return f"{matchup} {a} {b}"


def point(entry: Entry, key: str) -> Point | None:
    """What a run says about a case or a ratio; ``None`` where it does not know it."""
    try:
        if key in entry.ratios:
            return _ratio_point(entry.ratios[key])
        return _case_point(entry.cases[key]) if key in entry.cases else None
    except ValueError as error:  # times too far apart for a number
        return Point(None, reason=str(error))
    except (KeyError, TypeError, AttributeError):
        return Point(None, reason=f"the line of {entry.run_id} in {INDEX} is not what it should be")


def canary_s(launch: Launch) -> float | None:
    """Seconds that a fixed loop took near this launch, or ``None`` where none was timed."""
    found = number((launch.interference or {}).get("canary_s"))
    return found if found and found > 0 else None


def fingerprint(run: Run) -> str:
    """What tells the machine of a run from others, and the variables that its workers got.

    Empty where the machine was not recorded. Runs with other variables are not compared.
    """
    machine, found = str(run.environment.get("fingerprint") or ""), variables(run)
    if not machine or not found:
        return machine
    return f"{machine}-{zlib.crc32(json.dumps(sorted(found.items())).encode()):08x}"


def variables(run: Run) -> dict[str, str]:
    """The variables of a run that may change a number."""
    found = run.environment.get("variables")
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def is_confirmation(run: Run) -> bool:
    """Whether only some cases of another run were made again."""
    return "--only" in run.command


def versions(run: Run) -> dict[str, str]:
    """The versions whose changes a history marks."""
    found = run.environment.get("versions")
    found = found if isinstance(found, dict) else {}
    marked = (*frameworks.packages(), "numpy", "twinbench")
    return {name: str(found[name]) for name in marked if found.get(name)}


def _case_point(case: dict[str, Any]) -> Point:
    middle = number(case["median_s"])
    if case["status"] != "ok" or not middle:
        return Point(None, reason=f"{case['status']}: {case['reason'] or 'no valid time'}")
    launches, canaries = case["launches_s"], case["canary_s"]
    ci95 = estimate([math.log(s) for s in launches]).ci95
    if canaries is None:
        return Point(middle, ci95)
    loops = [math.log(s / c) for s, c in zip(launches, canaries, strict=True)]
    return Point(middle, ci95, estimate(loops).ratio)


def _ratio_point(verdict: dict[str, Any]) -> Point:
    ratio = number(verdict["ratio"])
    if verdict["verdict"] == "not comparable" or ratio is None or ratio <= 0:
        return Point(None, reason=verdict["reason"] or "no reason was recorded")
    low, high = (number(end) for end in verdict["ci95"] or (None, None))
    return Point(ratio, (low, high) if low and high else None)


def _entry(folder: str, run: Run) -> Entry:
    commit = run.environment.get("commit")
    return Entry(
        folder=folder,
        run_id=run.run_id,
        started=run.started,
        fingerprint=fingerprint(run),
        exit=run.exit,
        confirmation=is_confirmation(run),
        commit=str(commit) if commit else None,
        versions=versions(run),
        cases={case.id: _case(sound(case)) for r in run.matchups for case in r.cases},
        ratios={
            ratio_key(r.matchup.id, v.a, v.b): _verdict(v) for r in run.matchups for v in r.verdicts
        },
    )


def _case(case: Case) -> dict[str, Any]:
    launches = [launch for launch in case.launches if launch.samples_s]
    canaries = [canary_s(launch) for launch in launches]
    return {
        "status": case.status,
        "reason": case.reason,
        "median_s": case.summary()["median_s"],
        "launches_s": [median(launch.samples_s) for launch in launches],
        "canary_s": canaries if canaries and None not in canaries else None,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "ratio": number(verdict.ratio),
        "ci95": [number(end) for end in verdict.ci95] if verdict.ci95 else None,
    }


def _run_files(out: Path) -> Iterator[tuple[str, Path, _Stamp]]:
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
                yield folder, file, [found.st_mtime_ns, found.st_size]
                break


def _cached(index: Path) -> tuple[dict[str, _Record], int]:
    """The last good line of each folder, and how many lines there are."""
    try:
        content = files.read(index)
    except OSError:
        return {}, 0
    if files.weight(content) > files.MAX_WEIGHT:
        return {}, 0
    lines = content.split(b"\n")
    good = filter(None, (_unsealed(line) for line in lines if line))
    return {record["entry"]["folder"]: record for record in good}, len(lines) - lines.count(b"")


def _keep(index: Path, fresh: list[_Record]) -> int:
    """Add the lines of ``fresh``, which is empty then; returns how many they were."""
    count = len(fresh)
    if fresh:
        with suppress(OSError):  # a store that cannot be written is still read
            append(index, map(_sealed, fresh))
    fresh.clear()
    return count


def _sealed(record: _Record) -> bytes:
    body = json.dumps(record, allow_nan=False, separators=(",", ":")).encode()
    return body[:-1] + _SEAL % zlib.crc32(body)


def _unsealed(line: bytes) -> _Record | None:
    """The record of a line, or ``None`` where the line is not as this version writes it."""
    body = line[:-_SEAL_BYTES] + b"}"
    if body[:-1] + _SEAL % zlib.crc32(body) != line:
        return None
    try:
        record: _Record = files.parse(body)
        from_json(Entry, record["entry"])
    except (ValueError, KeyError, TypeError):
        return None  # sealed, yet not by us
    return record if record.get("format") == FORMAT else None
