"""An audit, from its plan on disk to the last row: journalled, so that it can be taken up."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

from benchmarks.audit import checks
from benchmarks.audit.accuracy import Labelled
from benchmarks.audit.child import difference
from benchmarks.audit.rows import Row, judged
from benchmarks.machine import scratch
from benchmarks.proof import group as proofs
from benchmarks.proof import precision, prove
from benchmarks.proof.group import AT_ONCE, Handoff, Proven, Proving
from benchmarks.proof.outcome import Asked
from benchmarks.proof.sides import SHARING, UsageError
from benchmarks.request import plan
from benchmarks.request.plan import Group, Plan
from benchmarks.request.selection import Selection
from benchmarks.results.records import Failure, Stack
from benchmarks.results.stored.codec import from_json
from benchmarks.tasks import stored
from benchmarks.worker import briefing, sources
from benchmarks.worker.process import Start, WorkerError, WorkerProcess

WORKER = "benchmarks.audit.worker"
OTHERS = ("mlp", "digits_cnn")
"""What is run before and beside a model; the second one where the first is audited itself."""
LARGEST = 8
"""Samples whose outputs are compared between processes."""
Found = tuple[str, str, list[Row]]
"""The name of a model, a stack, and the rows of all checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for all of an audit.

    ``labelled`` are pictures to predict, if any. ``weights`` is a file of the model's weights by
    canonical key; ``None``: drawn, or those of its folder.
    """

    selection: Selection
    threads: int
    start: Start = WorkerProcess
    labelled: Labelled | None = None
    weights: Path | None = None


@dataclass(kw_only=True)
class Audited:
    """One stack of a model under audit, as its checks see it.

    ``main`` is a worker that only ran this model, ``folder`` one for what workers write.
    """

    terms: Terms
    group: Group
    stack: Stack
    proof: Proven
    handoff: Handoff
    folder: Path
    main: WorkerProcess

    @property
    def selection(self) -> Selection:
        """What was asked for."""
        return self.terms.selection

    @property
    def threads(self) -> int:
        """Those of the main worker."""
        return self.terms.threads

    @property
    def timeout_s(self) -> float:
        """Seconds that a question may take."""
        return self.selection.timeout_s

    @property
    def other(self) -> dict[str, Any]:
        """The job of another model.

        Raises:
            WorkerError: a framework could not describe it.
        """
        found, handoffs = _other(self.group, self.terms)
        engine = self.selection.engine(self.stack)
        return briefing.job(found, self.selection, self.stack, self.threads, handoffs[engine])

    @property
    def size(self) -> int:
        """Samples whose outputs are compared between processes."""
        return min(LARGEST, self.group.size.batch)

    @property
    def bound(self) -> float:
        """What rounding may make of an output, relative."""
        chosen = self.selection
        timed = precision.timed_precision(chosen.precision, chosen.device, chosen.policy)
        layers = self.proof.parity.layers
        bound = precision.rounding_bound(
            layers, self.group.task, timed, "output", self.group.size.batch
        )
        return min(bound, precision.MOST)

    def job(self, threads: int = 0) -> dict[str, Any]:
        """What a worker must know to build the model."""
        return briefing.job(
            self.group, self.selection, self.stack, threads or self.threads, self.handoff
        )

    def row(self, check: str) -> Row:
        """A row of this stack, its word to be found."""
        return Row(model=self.group.name, stack=str(self.stack), check=check, word="same")

    def ask(self, verb: str, **told: Any) -> dict[str, Any]:
        """One question to the main worker.

        Raises:
            WorkerError: it failed.
        """
        return self.main.ask(verb, deadline_s=self.timeout_s, **told)

    def asked(
        self, check: str, *, row: str | None = None, bound: float | None = None, **told: Any
    ) -> Row:
        """The row of what the child's part of a check finds in the main worker."""
        made = replace(self.row(row or check), bound=bound)
        try:
            given = told | ({} if bound is None else {"bound": bound})
            found = self.ask("audit", check=check, **given)["found"]
        except WorkerError as error:
            return failed(made, error)
        figure = found["figure"]
        return replace(made, word=found["word"], figure=figure, reason=found["reason"])

    @contextmanager
    def held(self, check: str) -> Iterator[list[Row]]:
        """Collect rows; a worker that fails within leaves a row that says why, in its place."""
        kept: list[Row] = []
        try:
            yield kept
        except WorkerError as error:
            kept.append(failed(self.row(check), error))

    @contextmanager
    def worker(
        self, *, threads: int = 0, first: dict[str, Any] | None = None
    ) -> Iterator[WorkerProcess]:
        """Another process for the stack, with the model built, or with ``first`` in its place."""
        made = spawn(self.stack, self.terms)
        try:
            self.start(made, first or self.job(threads))
            yield made
        finally:
            made.quit()

    def start(self, worker: WorkerProcess, job: dict[str, Any]) -> None:
        """Build a model in a new worker."""
        worker.ask("start", deadline_s=self.timeout_s, spawned=worker.spawned, job=job)

    def outputs(self, worker: WorkerProcess, name: str) -> Path:
        """Where a worker has written the outputs of ``size`` samples."""
        path = self.folder / f"{name}.npz"
        worker.ask("outputs", deadline_s=self.timeout_s, size=self.size, path=str(path))
        return path

    def against_fresh(self, path: Path, check: str, reason: str = "") -> Row:
        """A row: what was written against what the fresh process wrote first."""
        error = difference(stored.read(path), stored.read(self.folder / "fresh.npz"))
        made = replace(self.row(check), bound=self.bound)
        return replace(made, word=judged(error, self.bound), figure=error, reason=reason)


def spawn(stack: Stack, terms: Terms) -> WorkerProcess:
    """A process for a stack; nothing is built yet."""
    asked = terms.selection
    python = asked.variant(stack).python
    return terms.start(stack, python=python, more=SHARING, program=WORKER, passed=asked.env)


def failed(row: Row, error: WorkerError) -> Row:
    """The row of a check that its worker did not survive, or cannot do."""
    word = "unsupported" if error.status == "unsupported" else "failed"
    return replace(row, word=word, reason=f"{error.status}: {error.reason}")  # type: ignore[arg-type]


def adopt(group: Group, terms: Terms, file: Path, kept: Path) -> None:
    """Write a file of weights, which fits one of a model's twins, to ``kept`` by canonical key.

    Raises:
        WorkerError: a framework could not describe its twin.
        UsageError: the twins do not match, or the file fits none of them.
    """
    chosen = terms.selection
    asked = Asked(source=sources.of_model(group.model, chosen.models_dir), task=group.task)
    with proofs.opened(group.stacks, chosen, terms.start) as every:
        prove.adopt(asked, every, file)
        shutil.copyfile(every.folder / stored.CANONICAL, kept)


def audited(made: Plan, done: set[tuple[str, str]], terms: Terms) -> Iterator[Found]:
    """What is found of each model and stack of a plan that is not ``done``, as it is found."""
    for model, broken in made.broken.items():
        if (model, "") not in done:
            lost = WorkerError(broken.status, str(broken), Failure())
            yield model, "", [failed(Row(model=model, stack="", check="all", word="same"), lost)]
    todo = list[tuple[Group, list[Stack]]]()
    for group in made.groups:
        left = [s for s in group.stacks if (group.name, str(s)) not in done]
        lacking = {s: why for s in left if (why := made.lacking(group.model, s))}
        for stack, why in lacking.items():
            row = Row(model=group.name, stack=str(stack), check="all", word="unsupported")
            yield group.name, str(stack), [replace(row, reason=why)]
        if left := [s for s in left if s not in lacking]:
            todo.append((able(made, group), left))
    yield from _at_once(todo, terms)


def _at_once(todo: Sequence[tuple[Group, list[Stack]]], terms: Terms) -> Iterator[Found]:
    """Two models at a time, because nothing is timed."""
    found, free = SimpleQueue[Found | BaseException | None](), SimpleQueue[_Auditor]()
    auditors = [_Auditor(terms) for _ in todo[:AT_ONCE]]
    for auditor in auditors:
        free.put(auditor)

    def of_model(group: Group, left: list[Stack]) -> None:
        auditor = free.get()
        try:
            for one in auditor.rows_of(group, left):
                found.put(one)
        except BaseException as error:
            found.put(error)
        finally:
            free.put(auditor)
            found.put(None)

    with proofs.working([auditor.proving for auditor in auditors]) as pool:
        for group, left in todo:
            pool.submit(of_model, group, left)
        yield from _taken(found, len(todo))
        for auditor in auditors:
            auditor.proving.quit()


def _taken(found: SimpleQueue[Found | BaseException | None], left: int) -> Iterator[Found]:
    """What is in the queue until so many models are done; an error of one is raised."""
    while left:
        one = found.get()
        if isinstance(one, BaseException):
            raise one
        if one is None:
            left -= 1
        else:
            yield one


def able(made: Plan, group: Group) -> Group:
    """A group of a plan with the stacks that can run it here."""
    stacks = tuple(s for s in group.stacks if not made.lacking(group.model, s))
    return replace(group, stacks=stacks)


class _Auditor:
    """Audits one model after the other; ``proving`` goes on with the next one, too."""

    def __init__(self, terms: Terms) -> None:
        self.proving = Proving(terms.selection, terms.start)
        self.terms = replace(terms, start=self.proving.start)

    def rows_of(self, group: Group, todo: list[Stack]) -> Iterator[Found]:
        """Prove a model, and check those of its stacks that are to be done."""
        selection, group = self.terms.selection, replace(group, weights=self.terms.weights)
        try:
            proof = self.proving.proof(group)
            left = tuple(s for s in group.stacks if selection.engine(s) not in proof.lost)
            group = replace(group, stacks=left)
            handoffs = dict(proof.handoffs) or _unproven(group, self.terms)
        except (WorkerError, proofs.NoneLeftError, UsageError) as error:
            for stack in todo:
                row = Row(model=group.name, stack=str(stack), check="all", word="failed")
                yield group.name, str(stack), [replace(row, reason=_line(error))]
            return
        for stack in todo:
            engine = selection.engine(stack)
            if engine in proof.lost:
                row = Row(model=group.name, stack=str(stack), check="all", word="same")
                yield group.name, str(stack), [failed(row, proof.lost[engine])]
                continue
            rows = _of_stack(group, stack, self.terms, proof, handoffs[engine])
            yield group.name, str(stack), rows


def _of_stack(
    group: Group, stack: Stack, terms: Terms, proof: Proven, handoff: Handoff
) -> list[Row]:
    """All checks of a stack; the fresh process writes its outputs before anything else."""
    with scratch.folder("audit") as folder:
        main = spawn(stack, terms)
        on = Audited(
            terms=terms,
            group=group,
            stack=stack,
            proof=proof,
            handoff=handoff,
            folder=folder,
            main=main,
        )
        try:
            on.start(main, on.job())
            on.outputs(main, "fresh")
            return [row for name in checks.names() for row in checks.load(name).rows(on)]
        except WorkerError as error:
            return [failed(on.row("all"), error)]
        finally:
            main.quit()


def _unproven(group: Group, terms: Terms) -> dict[str, Handoff]:
    """What each engine needs to load weights where the proof failed; its own where none match."""
    selection, found = terms.selection, dict[str, Handoff]()
    with suppress(UsageError):
        return proofs.handoffs(group, selection, terms.start)[0]
    for stack in group.stacks:
        if selection.engine(stack) not in found:
            found |= proofs.handoffs(replace(group, stacks=(stack,)), selection, terms.start)[0]
    return found


_KNOWN: dict[tuple[str, tuple[Stack, ...]], tuple[Group, dict[str, Handoff]]] = {}
_KNOWING = Lock()


def _other(group: Group, terms: Terms) -> tuple[Group, Mapping[str, Handoff]]:
    """Another model than the group's, and what each engine needs to load its weights."""
    selection = terms.selection
    name = next(one for one in OTHERS if one != group.model)
    with _KNOWING:
        if (name, group.stacks) not in _KNOWN:
            asked = replace(selection, models=(name,), phases=("forward",), batch=(), size=())
            (other,) = plan.make(asked).groups
            other = replace(other, stacks=group.stacks)
            _KNOWN[name, group.stacks] = other, proofs.handoffs(other, selection, terms.start)[0]
        return _KNOWN[name, group.stacks]


def _line(error: Exception) -> str:
    if isinstance(error, proofs.NoneLeftError):
        return "; ".join(f"{n}: {e.status}: {e.reason}" for n, e in error.lost.items())
    return f"{error.status}: {error.reason}" if isinstance(error, WorkerError) else str(error)


def stored_rows(entries: list[dict[str, Any]]) -> list[Row]:
    """The rows of a journal's entries of rows.

    Raises:
        RecordError: one is none.
    """
    return [row for entry in entries for row in from_json(list[Row], entry["rows"])]


def as_entry(rows: list[Row]) -> list[dict[str, Any]]:
    """Rows as they are journalled; a figure beyond all numbers is ``None`` with words."""
    told = []
    for row in rows:
        infinite = row.figure is not None and row.figure == float("inf")
        made = (
            replace(row, figure=None, reason=f"not comparable: {row.reason}") if infinite else row
        )
        told.append(asdict(made))
    return told
