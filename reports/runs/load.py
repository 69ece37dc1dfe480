"""Reads the files of a run. What cannot be read is said in one line and never half used."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Protocol, TypeVar

import pandas as pd

from benchmarks.results.records import EDITED, Case, MatchupResult, Run
from benchmarks.results.stored import files
from benchmarks.results.stored.codec import RecordError, decode, decode_run, known, sealed
from benchmarks.results.wording import edited

NAMES = ("run.json", "run.json.gz")


class AnyRun(Protocol):
    """A run, or what is known of one."""

    @property
    def run_id(self) -> str:
        """Its id."""

    @property
    def edited(self) -> bool:
        """Whether it is not as it was written."""


Part = TypeVar("Part")
Whole = TypeVar("Whole", bound=AnyRun)
SMALLEST, LARGEST = 1e-12, 1e12


class LoadError(ValueError):
    """The files of a run are missing or not what they should be."""


class NoRunError(LoadError):
    """There is no run at all."""


class EditedError(LoadError):
    """A run is not as it was written, and must be."""


def load_run(path: Path) -> Run:
    """Read a run folder, ``run.json`` or ``run.json.gz``.

    Raises:
        LoadError: missing, truncated, too large, too deeply nested or of another schema.
    """
    file = _run_file(path)
    try:
        return decode_run(_read_bytes(file))
    except RecordError as error:
        raise LoadError(f"{file}: {error}") from error


def unedited(run: Whole) -> Whole:
    """The run itself.

    Raises:
        EditedError: it is not as it was written.
    """
    if run.edited:
        raise EditedError(edited(run.run_id))
    return run


def load(kind: type[Part], file: Path) -> tuple[Part, bool]:
    """The fields of a run that ``kind`` names, alike in every schema, and whether it was edited.

    Raises:
        LoadError: as ``load_run``, but what is not named is not checked.
    """
    data = _read_bytes(file)
    try:
        about = known(data)
        return decode(kind, data), sealed(data, about) == EDITED
    except RecordError as error:
        raise LoadError(f"{file}: {error}") from error


def times(samples_s: Iterable[float]) -> tuple[float, ...]:
    """The samples without those that are no times."""
    return tuple(filter(possible, samples_s))


def possible(value: float) -> bool:
    """Whether a time in seconds, or a ratio of times, can be: not beyond 1e-12 or 1e12.

    No clock is finer, nobody waits longer, and what lies between can be divided and squared.
    """
    return SMALLEST <= value <= LARGEST


def latest(out: Path) -> Path:
    """The folder of the newest run below ``out``: what ``latest`` points at, else the last by name.

    Raises:
        NoRunError: there is none.
    """
    link = out / "latest"
    if link.is_dir() and link.resolve().parent == out.resolve():
        return link.resolve()
    files_of_runs = (file for name in NAMES for file in out.glob(f"*/{name}"))
    folders = sorted(file.parent for file in files_of_runs if not file.parent.is_symlink())
    if not folders:
        raise NoRunError(f"no run below {out}: start one with 'python -m benchmarks run'")
    return folders[-1]


def find(run: str, out: Path) -> Path:
    """The run a user named: by path, or by id below ``out``."""
    below = out / run
    return below if below.exists() and not Path(run).exists() else Path(run)


def sound(case: Case) -> Case:
    """The case without samples that are no times."""
    launches = (replace(launch, samples_s=times(launch.samples_s)) for launch in case.launches)
    return replace(case, launches=tuple(launches))


def thinned(case: Case, limit: int) -> list[tuple[float, ...]]:
    """At most ``limit`` samples of a case, launch by launch, evenly spread over each."""
    quota = max(1, limit // max(1, len(case.launches)))
    return [_spread(launch.samples_s, quota) for launch in case.launches[:limit]]


def cases_frame(run: Run) -> pd.DataFrame:
    """One row per case, units in the column names.

    A missing figure is NaN or None; its row has a status and a reason.
    """
    rows = [_row(result, case) for result in run.matchups for case in result.cases]
    return pd.DataFrame(rows, columns=list(COLUMNS))


COLUMNS = (
    "case", "matchup", "model", "phase", "batch", "variant", "precision", "device", "policy",
    "stack", "status", "reason", "median_s", "iqr_s", "min_s", "throughput_per_s",
    "flops_per_iteration", "flops_per_s", "peak_rss_bytes", "device_peak_bytes", "launches",
    "samples",
)  # fmt: skip


def _row(result: MatchupResult, case: Case) -> dict[str, Any]:
    matchup = result.matchup
    case = sound(case)
    flops, middle = case.flops_per_iteration, case.median_s
    return {
        "median_s": middle,
        "iqr_s": case.iqr_s,
        "min_s": case.min_s,
        "throughput_per_s": case.throughput_per_s,
        "case": case.id,
        "matchup": matchup.id,
        "model": matchup.model,
        "phase": matchup.phase,
        "batch": matchup.batch,
        "variant": matchup.variant,
        "precision": matchup.precision,
        "device": matchup.device,
        "policy": matchup.policy,
        "stack": case.stack,
        "status": case.status,
        "reason": case.reason,
        "flops_per_iteration": flops,
        "flops_per_s": flops / middle if flops is not None and middle else None,
        "peak_rss_bytes": case.memory.peak_rss_bytes,
        "device_peak_bytes": case.memory.device_peak_bytes,
        "launches": len(case.launches),
        "samples": len(case.samples_s),
    }


def cold_parts(case: Case, cache: str) -> tuple[float, float, float] | None:
    """Median seconds of import, build and first step; ``None`` where none was recorded whole."""
    parts = [
        (start.import_s, start.build_s, start.first_step_s)
        for start in case.cold_starts
        if start.cache == cache
    ]
    whole = [p for p in parts if all(math.isfinite(s) and s >= 0 for s in p)]
    if not whole:
        return None
    first, second, third = (median(column) for column in zip(*whole, strict=True))
    return first, second, third


def number(value: object) -> float | None:
    """A finite number, or ``None`` for anything else a free-form field may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def _spread(samples: tuple[float, ...], count: int) -> tuple[float, ...]:
    have = len(samples)
    return samples if have <= count else tuple(samples[i * have // count] for i in range(count))


def _run_file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.exists():
        raise LoadError(f"{path}: no such run")
    for name in NAMES:
        if (path / name).is_file():
            return path / name
    raise LoadError(f"{path}: holds no {' or '.join(NAMES)}; the run may not have finished")


def _read_bytes(file: Path) -> bytes:
    try:
        data = files.read(file)
    except OSError as error:
        raise LoadError(f"{file}: {error.strerror or error}: not a run") from error
    if files.weight(data) > files.MAX_WEIGHT:
        raise LoadError(f"{file}: it would take too much memory: not a run")
    return data
