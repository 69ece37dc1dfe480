"""The command ``audit``: its flags, its folder, and what it tells a person."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.audit import accuracy, run
from benchmarks.audit.rows import LOST, Row
from benchmarks.machine import names, scratch
from benchmarks.machine.environment import ROOT, usable_cores
from benchmarks.request import discovery, options, plan
from benchmarks.request.plan import Plan
from benchmarks.request.selection import Selection, SelectionError
from benchmarks.results.records import Exit
from benchmarks.results.stored import journal
from benchmarks.results.stored.journal import Journal
from benchmarks.tasks import stored
from benchmarks.tasks.data import pictures
from benchmarks.tasks.data.idx import DataError
from benchmarks.tasks.data.pictures import SCALINGS, Pictures
from benchmarks.tasks.task import TaskError
from benchmarks.worker.process import Start

FLAGS: dict[str, dict[str, Any]] = {
    flag: options.SELECTION[flag]
    for flag in (
        *("--models", "--stacks", "--device", "--precision", "--policy", "--effort", "--seed"),
        *("--timeout", "--equalize", "--models-dir", "--env"),
    )
} | {
    "--weights": {
        "type": Path,
        "metavar": "FILE",
        "help": f"weights of one twin of the one model, carried to the others ({stored.FORMATS})",
    },
    "--data-dir": {
        "type": Path,
        "metavar": "DIR",
        "help": "labelled pictures to predict, DIR/<class>/<image>; the classes sorted by name are"
        " those of the model",
    },
    "--preprocess": {
        "choices": tuple(SCALINGS),
        "metavar": "P",
        "help": "how the pictures' bytes are scaled: "
        + "; ".join(f"{name} ({one.words})" for name, one in SCALINGS.items())
        + " (default: torch)",
    },
}
FOLDER = "audits"
"""Below the folder of the runs: an audit times nothing, and no report of runs reads it."""
JOURNAL, SUMMARY = "journal.ndjson", "audit.json"
NO_PICTURES = "accuracy was not asked for: --data-dir DIR names labelled pictures"
SCALING = "torch"
"""How pictures are scaled where nothing else is asked."""
MENDED = (
    SelectionError,
    discovery.UnknownNameError,
    discovery.BadModelError,
    DataError,
    TaskError,
)
"""Errors that a user can mend, where an audit is taken up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was given: the selection, a file of weights, and how pictures are scaled."""

    selection: Selection
    weights: Path | None = None
    preprocess: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An audit whose plan is on disk: its folder, and the rows that its journal has so far.

    ``done`` are the models and stacks that these rows are of. ``weights`` is a file in one
    framework's format, ``pictures`` are those to predict, scaled as ``scaling`` says.
    """

    plan: Plan
    folder: Path
    rows: list[Row]
    done: set[tuple[str, str]]
    weights: Path | None
    pictures: Pictures | None
    scaling: str

    @property
    def lock(self) -> str:
        """What no two processes hold: they would write to one journal. Nothing is timed."""
        return f"audit {self.folder.name}"

    @property
    def resume_command(self) -> str:
        """What goes on with it."""
        out = self.folder.parent.parent
        return f"python -m benchmarks audit --out {out} --resume {self.folder.name}"


def prepare(given: Given, out: Path) -> Prepared:
    """Plan an audit, and write the plan.

    Raises:
        SelectionError, UnknownNameError, BadModelError, DataError: it cannot be planned.
        JournalError: it cannot be written.
    """
    made, pictures = plan.make(_whole(given.selection)), _pictures(given.selection)
    if given.preprocess and not pictures:
        raise SelectionError("--preprocess is for the pictures of --data-dir, and there is none")
    _check_weights(given.weights, made)
    scaling, hashed = given.preprocess or SCALING, _hashed(given.weights, pictures)
    folder = journal.create_run(out / FOLDER, journal.new_run_id(datetime.now(UTC)))
    with Journal(folder / JOURNAL) as kept:
        chosen = options.to_stored(options.unnamed(made.selection))
        kept.append("audit", selection=chosen, scaling=scaling, **hashed)
    journal.point_latest(out / FOLDER, folder.name)
    return Prepared(
        plan=made,
        folder=folder,
        rows=[],
        done=set(),
        weights=given.weights,
        pictures=pictures,
        scaling=scaling,
    )


def _pictures(chosen: Selection) -> Pictures | None:
    return pictures.find(chosen.data_dir) if chosen.data_dir else None


def _check_weights(file: Path | None, made: Plan) -> None:
    if file and not file.is_file():
        raise SelectionError(f"--weights {file}: there is no such file")
    if file and len(made.groups) != 1:
        raise SelectionError("--weights are those of one model: name it with --models")


def _hashed(weights: Path | None, of: Pictures | None) -> dict[str, str | None]:
    """What tells whether the same weights and pictures are given again, by their flags' names."""
    found = {"weights": None, "data_dir": of.digest if of else None}
    if weights:
        with weights.open("rb") as stream:
            found["weights"] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def _check_same(had: dict[str, Any], has: dict[str, str | None]) -> None:
    """Refuse to go on with other weights or pictures.

    Raises:
        SelectionError: the text says what to give.
    """
    for name, digest in has.items():
        flag, before = f"--{name.replace('_', '-')}", had.get(name)
        if digest and not before:
            raise SelectionError(f"--resume: the audit was made without {flag}: leave it out")
        if before and not digest:
            raise SelectionError(f"--resume: the audit was made with {flag}: give it again")
        if digest != before:
            raise SelectionError(f"--resume: {flag} is not what the audit was made with")


def reopen(given: Given, out: Path, name: str) -> Prepared:
    """Take up an audit where its journal ends.

    Raises:
        SelectionError: there is none of that name, or what it was made with is not given again.
        DataError: the pictures cannot be listed.
        JournalError: its journal cannot be read.
    """
    folder = (out / FOLDER / name).resolve()
    if folder.parent != (out / FOLDER).resolve() or not (folder / JOURNAL).is_file():
        raise SelectionError(f"there is no audit {name!r} in {out / FOLDER}")
    entries, _ = journal.read(folder / JOURNAL)
    begun = next((e for e in entries if e["kind"] == "audit"), None)
    if begun is None:
        raise SelectionError(f"{folder.name}: its journal does not say what it audits")
    with journal.understood(folder / JOURNAL, "an audit", *MENDED):
        chosen = options.renewed(options.from_stored(begun["selection"]), given.selection)
        made, pictures = plan.make(chosen), _pictures(chosen)
        scaling = begun.get("scaling", SCALING)
        SCALINGS[scaling]  # a KeyError where there is none of that name
        kept = [e for e in entries if e["kind"] == "rows"]
        done, rows = {(e["model"], e["stack"]) for e in kept}, run.stored_rows(kept)
    if given.preprocess:
        raise SelectionError("--resume goes on as before: leave out --preprocess")
    _check_weights(given.weights, made)
    _check_same(begun, _hashed(given.weights, pictures))
    return Prepared(
        plan=made,
        folder=folder,
        rows=rows,
        done=done,
        weights=given.weights,
        pictures=pictures,
        scaling=scaling,
    )


def _whole(given: Selection) -> Selection:
    """The selection with what an audit takes where nothing was named: one stack per framework."""
    stacks = given.stacks or tuple(map(str, discovery.plain_stacks()))
    return replace(given, stacks=stacks, phases=("forward",))


def given(value_of: Any) -> Given:
    """What the flags say; the effort is ``quick`` unless another one is given."""
    made = options.selection(value_of)
    chosen = made if value_of("--effort") else replace(made, effort="quick")
    return Given(
        selection=chosen, weights=value_of("--weights"), preprocess=value_of("--preprocess")
    )


def carry_out(prepared: Prepared, tell: Any, start: Start) -> dict[str, Any]:
    """Audit what is left; every stack of a model is in the journal once it is done.

    ``tell`` is called with the rows of each, and last with those that compare accuracies. The
    summary has the audit's name, the ``rows``, and the ``accuracy``: ``None`` without pictures.

    Raises:
        UsageError: the weights fit no twin.
        DataError: a picture cannot be read.
        JournalError: something cannot be written.
    """
    rows, done, accuracies = list(prepared.rows), prepared.done, None
    words = options.words(prepared.plan.selection)
    with scratch.folder("given") as place, Journal.resume(prepared.folder / JOURNAL) as kept:
        terms = _terms(prepared, done, place, start)
        for model, stack, found in run.audited(prepared.plan, done, terms):
            told = names.hidden(run.as_entry(found), words)
            kept.append("rows", model=model, stack=stack, rows=told)
            made = [Row(**row) for row in told]
            rows += made
            tell(made)
        rows = _in_order(rows, prepared.plan)
        if terms.labelled:
            accuracies = terms.labelled.document(prepared.plan.groups)
            compared = accuracy.rows(accuracies)
            rows += compared
            tell(compared)
    return {"audit": prepared.folder.name, "rows": rows, "accuracy": accuracies}


def _in_order(rows: list[Row], made: Plan) -> list[Row]:
    """Rows by model and stack as they were planned, behind those of models that are broken."""
    names = [(group.name, str(stack)) for group in made.groups for stack in group.stacks]
    order = {name: place for place, name in enumerate(names)}
    return sorted(rows, key=lambda row: order.get((row.model, row.stack), -1))


def _terms(prepared: Prepared, done: set[tuple[str, str]], place: Path, start: Start) -> run.Terms:
    """What is read of what was given, once for all models; files go to ``place``."""
    terms = run.Terms(selection=prepared.plan.selection, threads=usable_cores(), start=start)
    left = [g for g in prepared.plan.groups if any((g.name, str(s)) not in done for s in g.stacks)]
    if prepared.pictures:
        tasks, kept = [g.task for g in left], prepared.folder / accuracy.FOLDER
        labelled = accuracy.prepared(prepared.pictures, prepared.scaling, kept, tasks, place)
        terms = replace(terms, labelled=labelled)
    if prepared.weights and left:
        terms = replace(terms, weights=place / stored.CANONICAL)
        group = run.able(prepared.plan, left[0])
        run.adopt(group, terms, prepared.weights, place / stored.CANONICAL)
    return terms


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


def pictures_line(prepared: Prepared, found: dict[str, Any] | None) -> str:
    """What was predicted and where it is kept, or that nothing was."""
    if found is None:
        return NO_PICTURES
    spare = f" (files that are no pictures: {found['left_out']:,})" if found["left_out"] else ""
    return (
        f"accuracy on {found['pictures']:,} pictures of {found['classes']:,} classes{spare}:"
        f" {found['preprocessing']}; predictions: {prepared.folder / accuracy.FOLDER}"
    )
