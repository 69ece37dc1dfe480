"""The command ``audit``: its flags, its folder, and what it tells a person."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.audit import run
from benchmarks.audit.rows import LOST, Row
from benchmarks.machine.environment import ROOT, usable_cores
from benchmarks.request import discovery, options, plan
from benchmarks.request.plan import Plan
from benchmarks.request.selection import Selection, SelectionError
from benchmarks.results.records import Exit
from benchmarks.results.stored import journal
from benchmarks.results.stored.journal import Journal
from benchmarks.worker.process import Start

FLAGS: dict[str, dict[str, Any]] = {
    flag: options.SELECTION[flag]
    for flag in (
        *("--models", "--stacks", "--device", "--precision", "--policy", "--effort", "--seed"),
        *("--timeout", "--equalize", "--models-dir", "--env"),
    )
}
FOLDER = "audits"
"""Below the folder of the runs: an audit times nothing, and no report of runs reads it."""
JOURNAL, SUMMARY = "journal.ndjson", "audit.json"
NO_PICTURES = "accuracy: no labelled pictures were given, and none was computed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An audit whose plan is on disk: its folder, and the journal's entries so far."""

    plan: Plan
    folder: Path
    entries: list[dict[str, Any]]

    @property
    def lock(self) -> str:
        """What no two processes hold: they would write to one journal. Nothing is timed."""
        return f"audit {self.folder.name}"

    @property
    def resume_command(self) -> str:
        """What goes on with it."""
        out = self.folder.parent.parent
        return f"python -m benchmarks audit --out {out} --resume {self.folder.name}"


def prepare(given: Selection, out: Path) -> Prepared:
    """Plan an audit, and write the plan.

    Raises:
        SelectionError, UnknownNameError, BadModelError: it cannot be planned.
        JournalError: it cannot be written.
    """
    made = plan.make(_whole(given))
    folder = journal.create_run(out / FOLDER, journal.new_run_id(datetime.now(UTC)))
    with Journal(folder / JOURNAL) as kept:
        kept.append("audit", selection=options.to_stored(options.unnamed(made.selection)))
    journal.point_latest(out / FOLDER, folder.name)
    return Prepared(plan=made, folder=folder, entries=[])


def reopen(given: Selection, out: Path, name: str) -> Prepared:
    """Take up an audit where its journal ends.

    Raises:
        SelectionError: there is none of that name, or what it was made with is not given again.
        JournalError: its journal cannot be read.
    """
    folder = (out / FOLDER / name).resolve()
    if folder.parent != (out / FOLDER).resolve() or not (folder / JOURNAL).is_file():
        raise SelectionError(f"there is no audit {name!r} in {out / FOLDER}")
    entries, _ = journal.read(folder / JOURNAL)
    begun = next((e for e in entries if e["kind"] == "audit"), None)
    if begun is None:
        raise SelectionError(f"{folder.name}: its journal does not say what it audits")
    chosen = options.renewed(options.from_stored(begun["selection"]), given)
    return Prepared(plan=plan.make(chosen), folder=folder, entries=entries)


def _whole(given: Selection) -> Selection:
    """The selection with what an audit takes where nothing was named: one stack per framework."""
    stacks = given.stacks or tuple(map(str, discovery.plain_stacks()))
    return replace(given, stacks=stacks, phases=("forward",))


def selection(value_of: Any) -> Selection:
    """What the flags say; the effort is ``quick`` unless another one is given."""
    made = options.selection(value_of)
    return made if value_of("--effort") else replace(made, effort="quick")


def carry_out(prepared: Prepared, tell: Any, start: Start) -> list[Row]:
    """Audit what is left; every stack of a model is in the journal once it is done."""
    entries = prepared.entries
    done = {(e["model"], e["stack"]) for e in entries if e["kind"] == "rows"}
    rows = run.stored_rows(entries)
    with Journal.resume(prepared.folder / JOURNAL) as kept:
        for model, stack, found in run.audited(prepared.plan, usable_cores(), done, start):
            told = run.as_entry(found)
            kept.append("rows", model=model, stack=stack, rows=told)
            made = [Row(**row) for row in told]
            rows += made
            tell(made)
    return rows


def code(rows: list[Row]) -> Exit:
    """4 where frameworks differ with the same weights, 3 where something could not be checked."""
    if any(row.refutes for row in rows):
        return Exit.PARITY
    return Exit.INCOMPLETE if any(row.word in LOST for row in rows) else Exit.OK


def page(folder: Path) -> Path | None:
    """Build the page in a process of its own, because reports know no measuring."""
    words = [sys.executable, "-m", "reports", "audit", str(folder.resolve())]
    built = subprocess.run(words, cwd=ROOT, check=False, capture_output=True)
    return None if built.returncode else folder / "audit.html"


def line(row: Row) -> str:
    """A row, for a person."""
    figure = "" if row.figure is None else f" {row.figure:.1e}"
    bound = "" if row.bound is None else f" (bound {row.bound:.1e})"
    return f"{row.model} {row.stack} {row.check}: {row.word}{figure}{bound} {row.reason}".rstrip()


def table(rows: list[Row]) -> Table:
    """All rows."""
    made = Table(show_edge=False, pad_edge=False)
    for column in ("model", "stack", "check", "word", "largest difference", "bound", "reason"):
        made.add_column(column, overflow="fold")
    for row in rows:
        figures = ("" if f is None else f"{f:.1e}" for f in (row.figure, row.bound))
        made.add_row(row.model, row.stack, row.check, row.word, *figures, row.reason)
    return made
