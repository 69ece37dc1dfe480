"""A run on disk and in memory: its folder, its lock, its journal, and who is told of its events."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from benchmarks.machine import environment, locks, names, scratch, variables
from benchmarks.measure.means import Means
from benchmarks.measure.schedule import pace
from benchmarks.measure.schedule.pace import Pace
from benchmarks.measure.summary import assemble
from benchmarks.proof.sides import UsageError
from benchmarks.request import discovery, options, plan
from benchmarks.request.plan import Plan
from benchmarks.request.selection import Selection, SelectionError
from benchmarks.results.records import Run
from benchmarks.results.stored import journal
from benchmarks.results.stored.codec import encode, read_run, to_json
from benchmarks.results.stored.ledger import Ledger
from benchmarks.tasks.data import idx, sets
from benchmarks.tasks.task import TaskError

JOURNAL = "journal.ndjson"
SUMMARY = "run.json"


class NothingRunsError(Exception):
    """No stack of a plan can run on this machine."""


class Event(NamedTuple):
    """Something that happened in a run: one line of its journal.

    ``kind`` is one of: ``run`` (what was asked), ``calibrating`` and ``calibrated``, ``proving``
    and ``proof``, ``starting`` (a launch), ``settings``, ``check``, ``cold``, ``timing`` (a phase
    begins), ``launch`` (the turns of a phase), ``unresolved`` and ``broken`` (turns that count for
    nothing), ``telemetry``, ``failure``, ``disorder`` (how a worker ended, where not in order),
    ``concluded`` (a model has its launches), ``profiling`` and ``profile``, ``end``.
    """

    kind: str
    data: Mapping[str, Any]


class Listener(Protocol):
    """Is told of a run while it goes on."""

    def begin(self, session: Session) -> None:
        """The turns of a run are about to begin."""

    def told(self, event: Event, session: Session) -> None:
        """Something happened, and is in the journal."""

    def end(self) -> None:
        """The run is over, however it ended."""

    def beside(self) -> Listener:
        """Who is told of a run that this one needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that may start: planned, its folder made, what an earlier attempt finished read."""

    plan: Plan
    folder: Path
    header: Run
    entries: list[dict[str, Any]]

    @property
    def resume_command(self) -> str:
        """What goes on with this run."""
        words = ["python", "-m", "benchmarks", "run", "--resume", self.folder.name]
        if self.folder.parent != Path("results"):
            words += ["--out", str(self.folder.parent)]
        chosen = self.plan.selection
        again = Selection(
            models_dir=chosen.models_dir,
            data_dir=chosen.data_dir,
            variants=chosen.variants,
            env=chosen.env,
        )
        return shlex.join([*words, *options.as_command(again)])


@dataclass(kw_only=True)
class Session:
    """A run that is being carried out, by some means.

    ``asked`` is the plan before its stacks were tuned.
    """

    asked: Plan
    folder: Path
    header: Run
    ledger: Ledger
    log: journal.Journal
    listener: Listener
    means: Means
    threads: int = field(default_factory=environment.usable_cores)
    began: float | None = None
    interrupted: bool = False
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        """No part of it has been timed yet."""
        self.pace = pace.of(self.asked, self.means.now)

    @property
    def out(self) -> Path:
        """The folder that the run lies in, among others."""
        return self.folder.parent

    @property
    def plan(self) -> Plan:
        """What is measured: as asked, with what each stack was tuned to."""
        tuned = self.ledger.calibrated.tuned or ()
        return replace(self.asked, selection=replace(self.asked.selection, tuned=tuned))

    @property
    def seconds(self) -> float:
        """How long turns, proofs and starts took so far, earlier attempts included."""
        spent = 0.0 if self.began is None else self.means.now() - self.began
        return self.header.seconds + spent

    def begin(self) -> None:
        """From here on the time counts."""
        self.began = self.means.now()
        self.listener.begin(self)

    def record(self, kind: str, **data: Any) -> None:
        """Put an event on disk, without anybody's names; then into the ledger, then tell it.

        Raises:
            JournalError: it could not be written.
        """
        data = names.hidden(data, options.words(self.asked.selection))
        self.log.append(kind, **data)
        self.ledger.add({"kind": kind, **data})
        self.pace.told(kind, data)
        self.listener.told(Event(kind, data), self)

    def run(self) -> Run:
        """The run as far as its journal tells it."""
        known = self.ledger.calibrated
        header = replace(
            self.header,
            aa_floor=known.floor or self.header.aa_floor,
            environment=replace(self.header.environment, ceiling=known.ceiling),
            seconds=self.seconds,
        )
        return assemble(self.plan, self.ledger, header, interrupted=self.interrupted)

    def finish(self) -> Run:
        """Write run.json, and let ``latest`` lead to this run."""
        self.listener.end()
        self.record("end", seconds=self.seconds, interrupted=self.interrupted)
        done = self.run()
        journal.write_atomic(self.folder / SUMMARY, encode(done))
        journal.point_latest(self.out, self.folder.name)
        return done


@contextmanager
def opened(
    prepared: Prepared, listener: Listener, means: Means, *, held: bool = False
) -> Iterator[Session]:
    """Carry out a run within it; an interrupt inside ends it early and keeps what is done.

    Args:
        prepared: the run.
        listener: is told of its events.
        means: what it is carried out with.
        held: whether the device is held already, by the run that needs this one.

    Raises:
        Locked: another run is using the device.
        JournalError: the journal cannot be written.
    """
    with (
        nullcontext() if held else _device_of(prepared),
        journal.Journal.resume(prepared.folder / JOURNAL) as log,
    ):
        session = Session(
            asked=prepared.plan,
            folder=prepared.folder,
            header=prepared.header,
            ledger=Ledger.of(prepared.entries),
            log=log,
            listener=listener,
            means=means,
        )
        if not prepared.entries:
            session.record(
                "run",
                schema=journal.SCHEMA,
                selection=options.to_stored(options.unnamed(prepared.plan.selection)),
                cases=prepared.plan.case_ids(),
                header=to_json(prepared.header),
            )
        yield session


def check(made: Plan) -> Plan:
    """The plan itself, once the data it needs are read: a missing file must not cost a run.

    Raises:
        DataError: they cannot be read.
    """
    if any(discovery.load("phases", p).NEEDS_DATA for g in made.groups for p in g.phases()):
        chosen = made.selection
        sets.load(chosen.data or plan.DEFAULT_DATA, chosen.data_dir, chosen.seed)
    return made


def require_able(made: Plan) -> Plan:
    """The plan itself.

    Raises:
        NothingRunsError: none of its stacks can run here; the text says why.
    """
    every = [(str(s), made.lacking(g.model, s)) for g in made.groups for s in g.stacks]
    if not every or not all(reason for _, reason in every):
        return made
    lacking = dict(every)
    reasons = dict.fromkeys(lacking.values())
    if len(reasons) == 1:
        raise NothingRunsError(f"nothing can run here: {next(iter(reasons))}")
    told = "; ".join(f"{stack}: {reason}" for stack, reason in lacking.items())
    raise NothingRunsError(f"nothing can run here: {told}")


def prepare(made: Plan, out: Path) -> Prepared:
    """Make the folder of a new run.

    Raises:
        JournalError: the folder cannot be written.
    """
    started, written = datetime.now(UTC), options.unnamed(made.selection)
    folder = journal.create_run(out, journal.new_run_id(started))
    header = Run(
        run_id=folder.name,
        started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=0.0,
        exit=0,
        command=("python", "-m", "benchmarks", "run", *options.as_command(written)),
        environment=replace(
            environment.describe(threads=environment.usable_cores()),
            variables=names.hidden(variables.recorded(made.selection.env)),
        ),
        effort=made.selection.effort,
        seed=made.selection.seed,
    )
    return Prepared(plan=made, folder=folder, header=header, entries=[])


def reopen(out: Path, run_id: str, given: Selection) -> Prepared:
    """Take up a run where its journal ends; ``latest`` is the newest that has a journal.

    What is run and read is what ``given`` says, and never what the journal does.

    Raises:
        SelectionError: there is no such run, it was made on another machine, or something that it
            needs is not given.
    """
    folder, entries, begun = _begun(out, run_id)
    with _of_a_run(folder):
        spent = max((float(e["seconds"]) for e in entries if e["kind"] == "end"), default=0.0)
        header = replace(read_run(begun["header"]), seconds=spent)
    here = environment.describe(threads=environment.usable_cores())
    if here.fingerprint != header.environment.fingerprint:
        raise SelectionError(
            f"{folder.name} was made on another machine: launches would not compare"
        )
    made = _stored_plan(folder, begun, given)
    with _of_a_run(folder):  # whatever else a run is made of: before it goes on
        assemble(made, Ledger.of(entries), header)
    now = names.hidden(variables.recorded(given.env))
    if changed := variables.differing(header.environment.variables, now):
        told = "; ".join(f"{name} {before}, now {after}" for name, before, after in changed)
        raise SelectionError(f"{folder.name} was made with other variables: {told}")
    return Prepared(plan=made, folder=folder, header=header, entries=entries)


def stored_plan(out: Path, run_id: str, given: Selection) -> plan.Plan:
    """The plan of a run that may be resumed; ``given`` as in ``reopen``.

    Raises:
        SelectionError: there is no such run, or something that it needs is not given.
    """
    folder, _, begun = _begun(out, run_id)
    return _stored_plan(folder, begun, given)


def _stored_plan(folder: Path, begun: dict[str, Any], given: Selection) -> plan.Plan:
    with _of_a_run(folder):
        chosen = options.renewed(options.from_stored(begun["selection"]), given)
        return plan.make(chosen).only(begun["cases"])


def _of_a_run(folder: Path) -> AbstractContextManager[None]:
    return journal.understood(folder / JOURNAL, "a run", *usage_errors())


def _begun(out: Path, run_id: str) -> tuple[Path, list[dict[str, Any]], dict[str, Any]]:
    """A run's folder, its journal's entries, and the one that says what was to be measured."""
    if run_id == journal.LATEST:
        journals = sorted(p for p in out.glob(f"*/{JOURNAL}") if not p.parent.is_symlink())
        folder = journals[-1].parent if journals else out / run_id
    else:
        folder = out / run_id
    within = journal.RUN_ID.fullmatch(run_id) and not folder.is_symlink()
    if not within or not (folder / JOURNAL).exists():
        raise SelectionError(f"there is no run {run_id!r} to resume in {out}")
    entries, _ = journal.read(folder / JOURNAL)
    begun = next((e for e in entries if e["kind"] == "run"), None)
    if begun is None:
        raise SelectionError(f"the journal of {folder.name} does not say what was to be measured")
    schema = begun.get("schema", 1)
    if type(schema) is not int or schema > journal.SCHEMA:
        raise journal.JournalError(
            f"{folder / JOURNAL}: schema {schema} is newer than this version reads"
            f" ({journal.SCHEMA}): update twinbench"
        )
    return folder, entries, begun


@contextmanager
def _device_of(prepared: Prepared) -> Iterator[None]:
    """Hold the device; a new run that cannot have it leaves no empty folder."""
    with ExitStack() as held:
        try:
            held.enter_context(locks.held_by(prepared.plan.selection.device))
        except journal.JournalError:
            if not prepared.entries:
                prepared.folder.rmdir()
            raise
        scratch.sweep()
        yield


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
