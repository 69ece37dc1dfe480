"""A run from the first check to the last file: lock, folder, journal, runner, run.json, latest."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import environment, locks
from benchmarks.machine.environment import ROOT
from benchmarks.measure.engine import Engine, Profiler
from benchmarks.measure.progress import Listener
from benchmarks.proof.sides import UsageError
from benchmarks.request import discovery, options, plan
from benchmarks.request.selection import Selection, SelectionError
from benchmarks.results import journal
from benchmarks.results.ledger import Ledger
from benchmarks.results.records import Exit, Run, from_json, to_json
from benchmarks.tasks.data import idx, sets
from benchmarks.tasks.task import TaskError

JOURNAL = "journal.ndjson"
SUMMARY = "run.json"
NO_FLOOR: Mapping[str, Any] = {
    "value": None,
    "how": "not measured: the margin of 2 % stands alone",
}


class NothingRunsError(Exception):
    """No stack of a plan can run on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that may start: planned, its folder made, what an earlier attempt finished read."""

    plan: plan.Plan
    folder: Path
    header: Run
    entries: list[dict[str, Any]]

    @property
    def resume_command(self) -> str:
        """What goes on with this run."""
        words = ["python", "-m", "benchmarks", "run", "--resume", self.folder.name]
        if self.folder.parent != Path("results"):
            words += ["--out", str(self.folder.parent)]
        return shlex.join(words)


def check(chosen: Selection) -> plan.Plan:
    """Plan a run, and read the data it needs: a missing file must not cost what was measured.

    Raises:
        SelectionError, UnknownNameError, DataError: the selection cannot be measured.
    """
    made = plan.make(chosen)
    if any(discovery.load("phases", p).NEEDS_DATA for g in made.groups for p in g.phases()):
        sets.load(chosen.data or plan.DEFAULT_DATA, chosen.data_dir, chosen.seed)
    return made


def require_able(made: plan.Plan) -> plan.Plan:
    """The plan itself.

    Raises:
        NothingRunsError: none of its stacks can run here; the text says why.
    """
    lacking = {str(s): made.lacking(g.model, s) for g in made.groups for s in g.stacks}
    if not lacking or not all(lacking.values()):
        return made
    reasons = dict.fromkeys(lacking.values())
    if len(reasons) == 1:
        raise NothingRunsError(f"nothing can run here: {next(iter(reasons))}")
    told = "; ".join(f"{stack}: {reason}" for stack, reason in lacking.items())
    raise NothingRunsError(f"nothing can run here: {told}")


def prepare(
    chosen: Selection,
    out: Path,
    floor: Mapping[str, Any] = NO_FLOOR,
    ceiling: Mapping[str, Any] | None = None,
) -> Prepared:
    """Plan a new run and make its folder.

    ``floor`` is the machine's A/A floor, ``ceiling`` what its device can do at most.

    Raises:
        SelectionError, UnknownNameError, DataError: the selection cannot be measured.
        JournalError: the folder cannot be written.
    """
    made = check(chosen)
    started = datetime.now(UTC)
    folder = journal.create_run(out, journal.new_run_id(started))
    header = Run(
        run_id=folder.name,
        started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=0.0,
        exit=0,
        command=("python", "-m", "benchmarks", "run", *options.as_command(chosen)),
        environment=environment.describe(threads=environment.usable_cores())
        | {"ceiling": dict(ceiling) if ceiling else None},
        effort=chosen.effort,
        seed=chosen.seed,
        aa_floor=dict(floor),
    )
    return Prepared(plan=made, folder=folder, header=header, entries=[])


def reopen(out: Path, run_id: str) -> Prepared:
    """Take up a run where its journal ends; ``latest`` is the newest that has a journal.

    Raises:
        SelectionError: there is no such run, or it was made on another machine.
    """
    folder, entries, begun = _begun(out, run_id)
    spent = max((e["seconds"] for e in entries if e["kind"] == "end"), default=0.0)
    header = replace(from_json(Run, begun["header"]), seconds=spent)
    here = environment.describe(threads=environment.usable_cores())
    if here["fingerprint"] != header.environment["fingerprint"]:
        raise SelectionError(
            f"{folder.name} was made on another machine: launches would not compare"
        )
    return Prepared(plan=_stored_plan(begun), folder=folder, header=header, entries=entries)


def stored_plan(out: Path, run_id: str) -> plan.Plan:
    """The plan of a run that may be resumed.

    Raises:
        SelectionError: there is no such run.
    """
    return _stored_plan(_begun(out, run_id)[2])


def _stored_plan(begun: dict[str, Any]) -> plan.Plan:
    return plan.make(options.from_stored(begun["selection"])).only(begun["cases"])


def _begun(out: Path, run_id: str) -> tuple[Path, list[dict[str, Any]], dict[str, Any]]:
    """A run's folder, its journal's entries, and the one that says what was to be measured."""
    if run_id == options.LATEST:
        journals = sorted(p for p in out.glob(f"*/{JOURNAL}") if not p.parent.is_symlink())
        folder = journals[-1].parent if journals else out / run_id
    else:
        folder = out / run_id
    if not (folder / JOURNAL).is_file():
        raise SelectionError(f"there is no run {run_id!r} to resume in {out}")
    entries, _ = journal.read(folder / JOURNAL)
    begun = next((e for e in entries if e["kind"] == "run"), None)
    if begun is None:
        raise SelectionError(f"the journal of {folder.name} does not say what was to be measured")
    return folder, entries, begun


def carry_out(prepared: Prepared, listener: Listener, profiler: Profiler | None = None) -> Run:
    """Measure, and write run.json however it ends.

    ``profiler`` is needed where profiles were asked for.

    Raises:
        Locked: another run is using the device.
    """
    chosen, folder = prepared.plan.selection, prepared.folder
    with (
        _device_of(prepared),
        _terminated_like_interrupted(),
        journal.Journal.resume(folder / JOURNAL) as log,
    ):
        if not prepared.entries:
            log.append(
                "run",
                selection=options.to_stored(chosen),
                cases=prepared.plan.case_ids(),
                header=to_json(prepared.header),
            )
        runner = Engine(
            plan=prepared.plan,
            header=prepared.header,
            threads=environment.usable_cores(),
            append=log.append,
            ledger=Ledger.of(prepared.entries),
            listener=listener,
            profiler=profiler,
        )
        run = runner.run()
        text = json.dumps(to_json(run), allow_nan=False, indent=1)
        journal.write_atomic(folder / SUMMARY, text + "\n")
        journal.point_latest(folder.parent, folder.name)
    return run


def on_the_side(chosen: Selection, out: Path, listener: Listener) -> Run:
    """Carry out a run that another needs; an interrupt ends both.

    Raises:
        KeyboardInterrupt: it was interrupted.
        Locked: another run is using the device.
    """
    run = carry_out(prepare(chosen, out), listener)
    if run.exit == Exit.INTERRUPTED:
        raise KeyboardInterrupt
    return run


def store(path: Path, text: str) -> None:
    """Write a file, and the folder it lies in.

    Raises:
        JournalError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        journal.write_atomic(path, text)
    except OSError as error:
        raise journal.JournalError(f"cannot write {path}: {error.strerror}") from error


def report(folder: Path) -> Path | None:
    """Build the report in a process of its own, because reports know no measuring."""
    built = subprocess.run(
        [sys.executable, "-m", "reports", "build", str(folder.resolve())],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if built.returncode != 0:
        print(built.stderr.strip(), file=sys.stderr)  # noqa: T201 - the run stands, its report does not
        return None
    return folder / "report.html"


@contextmanager
def _device_of(prepared: Prepared) -> Iterator[None]:
    """Hold the device; a new run that cannot have it leaves no empty folder."""
    try:
        with locks.DeviceLock(prepared.plan.selection.device):
            yield
    except locks.Locked:
        if not prepared.entries:
            prepared.folder.rmdir()
        raise


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """A polite request to end keeps what is done, as an interrupt does."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def usage_errors() -> tuple[type[Exception], ...]:
    """The errors that a user can mend: one line, exit 2."""
    return (
        SelectionError,
        discovery.UnknownNameError,
        discovery.BadModelError,
        idx.DataError,
        journal.JournalError,
        TaskError,
        UsageError,
    )
