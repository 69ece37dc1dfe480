"""Which run is checked, and which runs it may be held against: a bad one never, by itself."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from benchmarks.results.records import Exit, Run
from benchmarks.results.stored import files
from reports.runs.files import append
from reports.runs.load import LoadError, NoRunError, find, load_run, unedited
from reports.runs.store import Entry, fingerprint, is_confirmation, read

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LATEST_OK = "latest-ok"
CHECKS = ".checks.ndjson"
Mark = Literal["flagged", "cleared", "passed", "failed", "accepted"]
# Still flagged: the second look never came. Cleared: it saw nothing, but this run's own times are
# off, and as a baseline they would hide what comes next.
_BAD = ("flagged", "cleared", "failed")


def chosen(entries: Sequence[Entry], name: str | None, out: Path) -> Path:
    """The run a user named, or else the newest that is no confirmation.

    Raises:
        NoRunError: there is none.
    """
    if name is not None:
        return find(name, out)
    for entry in reversed(entries):
        if not entry.confirmation:
            return out / entry.folder
    raise NoRunError(f"no run below {out}: start one with 'python -m benchmarks run'")


def latest_ok(entries: Sequence[Entry], marked: dict[str, str], run: Run) -> Entry:
    """The newest run before this one, of the same machine, with nothing against it.

    Raises:
        NoRunError: there is none.
    """
    for entry in reversed(entries):
        if (
            entry.fingerprint == fingerprint(run)
            and entry.exit == Exit.OK
            and entry.usable
            and entry.run_id != run.run_id
            and entry.started <= run.started
            and marked.get(entry.run_id) not in _BAD
        ):
            return entry
    raise NoRunError(
        f"no baseline for {run.run_id}: no earlier run of its machine ended well and is not marked"
        " bad; accept one with --accept"
    )


def accept(out: Path, name: str | None) -> str:
    """Take a run as a baseline whatever the gate said of it; returns its id.

    Raises:
        LoadError: it has failed cases, was edited, or is the confirmation of another.
    """
    run = unedited(load_run(chosen(read(out).entries, name, out)))
    if run.exit != Exit.OK or is_confirmation(run):
        why = "it confirms another run" if is_confirmation(run) else f"its exit code is {run.exit}"
        raise LoadError(f"{run.run_id} cannot be a baseline: {why}")
    mark(out, run.run_id, "accepted")
    return run.run_id


def marks(out: Path) -> dict[str, str]:
    """The last verdict on each run; a damaged line counts for nothing.

    Raises:
        OSError: the file is there and cannot be read.
    """
    found: dict[str, str] = {}
    try:
        lines = files.lines(out / CHECKS)
    except FileNotFoundError:
        return found
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):  # cut short by a full disk
            entry = files.parse(line)
            found[str(entry["run_id"])] = str(entry["verdict"])
    return found


def mark(out: Path, run_id: str, verdict: Mark) -> None:
    """Write down what became of a run.

    Raises:
        OSError: it cannot be written.
    """
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = json.dumps({"run_id": run_id, "verdict": verdict, "at": at})
    append(out / CHECKS, [line.encode()])
