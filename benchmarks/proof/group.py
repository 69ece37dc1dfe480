"""The proof of what a run times: every framework of a group, and references for its stacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import frameworks
from benchmarks.frameworks.description import Assigned, Description
from benchmarks.frameworks.encoding import plain
from benchmarks.proof import compare, comparison, costs, precision, prove
from benchmarks.proof.match import Match
from benchmarks.proof.outcome import Asked, Proof
from benchmarks.proof.sides import Sides, sides
from benchmarks.request.plan import Group
from benchmarks.request.selection import Selection
from benchmarks.results.records import Finding, Parity, Stack, TimedCheck
from benchmarks.tasks.task import Published
from benchmarks.worker import checks, sources
from benchmarks.worker.process import Start, WorkerError, WorkerProcess
from benchmarks.worker.started import Started

References = dict[str, Path]
"""Where the float64 reference of each part lies."""
Handoff = dict[str, Any]
"""A ``contracts.Handoff`` as it is sent to a worker."""
AT_ONCE = 2
COUNTED = 1e-6
"""Relative difference up to which two counts of FLOPs are one."""
PUBLISHED = 0.005
"""The same for a published count, which is given to three digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a proof leaves behind.

    ``references`` are none where it failed. ``handoffs`` tell the workers of each engine which of
    its weights is which. ``lost`` are the engines that could not run it, which says nothing about
    identity.
    """

    parity: Parity
    references: References
    handoffs: Mapping[str, Handoff]
    lost: Mapping[str, WorkerError] = field(default_factory=dict)


class NoneLeftError(Exception):
    """No engine could run a proof; ``lost`` has each with why."""

    def __init__(self, lost: Mapping[str, WorkerError]) -> None:
        super().__init__(", ".join(lost))
        self.lost = lost


@contextmanager
def proof(group: Group, selection: Selection, start: Start = WorkerProcess) -> Iterator[Proven]:
    """Prove a group's twins, of the engines that can; references live as long as the block.

    Raises:
        NoneLeftError: none of them can.
        UsageError: the model's task does not fit its twins; one line says what.
    """
    with ExitStack() as open_:
        found, workers = by_able(
            group,
            selection,
            lambda stacks: open_.enter_context(opened(stacks, selection, start)),
        )
        workers.quit()  # what is timed must have the machine for itself
        yield found


class Proving:
    """Proves one group after the other, in workers that it keeps until one fails.

    References live until the next group is proven. ``start`` starts workers that end with its own.
    """

    def __init__(self, selection: Selection, start: Start = WorkerProcess) -> None:
        self.selection, self.start = selection, Started(start)
        self._open = ExitStack()
        self._sides: dict[tuple[Stack, ...], Sides] = {}

    def proof(self, group: Group) -> Proven:
        """As the function ``proof``, and with its errors."""
        return by_able(group, self.selection, self._workers)[0]

    def quit(self) -> None:
        """Let all workers end by themselves, which have answered."""
        for every in self._sides.values():
            every.quit()

    def close(self) -> None:
        """End the workers that are left, and delete what they wrote."""
        self._open.close()

    def _workers(self, stacks: tuple[Stack, ...]) -> Sides:
        """The workers that prove what some stacks run."""
        if stacks not in self._sides or self._sides[stacks].ended:
            every = opened(stacks, self.selection, self.start)
            self._sides[stacks] = self._open.enter_context(every)
        return self._sides[stacks]


@contextmanager
def working(every: Sequence[Proving]) -> Iterator[ThreadPoolExecutor]:
    """A thread for each; when it ends, so do all workers, whatever they do.

    The kernel ends a worker with the thread that spawned it: these live as long as all workers.
    """
    pool = ThreadPoolExecutor(max_workers=max(1, len(every)))
    try:
        yield pool
    finally:
        for one in every:
            one.start.end()
        pool.shutdown(cancel_futures=True)
        for one in every:
            one.close()


def by_able(
    group: Group, selection: Selection, workers: Callable[[tuple[Stack, ...]], Sides]
) -> tuple[Proven, Sides]:
    """The proof of the engines that can run it, and the workers that made it.

    Args:
        group: what is proven.
        selection: how it was asked for.
        workers: gives those of some stacks.

    Raises:
        NoneLeftError: no engine can.
        UsageError: the model's task does not fit its twins; one line says what.
    """
    lost = dict[str, WorkerError]()
    while left := tuple(s for s in group.stacks if selection.engine(s) not in lost):
        every = workers(left)
        try:
            return replace(proven(group, selection, every), lost=lost), every
        except WorkerError as error:
            every.end()
            lost[error.side or selection.engine(left[0])] = error
    raise NoneLeftError(lost)


def proven(group: Group, selection: Selection, every: Sides) -> Proven:
    """Prove a group's twins with workers that are there; references live as long as they do.

    Raises:
        WorkerError: a framework could not run it, which says nothing about identity.
        UsageError: the model's task does not fit its twins; one line says what.
    """
    asked = _asked(group, selection)
    found = prove.proven(asked, every)
    told, assigned, keys = found.told, found.assigned, found.match.keys
    parity = _parity(every.names, found)
    if found.status not in {"proven", "partial"}:
        return Proven(parity=parity, references={}, handoffs={})
    parity = replace(parity, findings=(*parity.findings, *_counted(every, parity)))
    if asked.task != group.task:
        timed = replace(asked, task=group.task)
        told, made = prove.matched(timed, every)
        comparison.equalize(every, found.changes)
        assigned, keys = prove.assigned_to(every.names, made), _keys(made)
        assigned |= {every.names[0]: _as_proven(assigned[every.names[0]], found)}
        first = told[every.names[0]]
        parity = replace(parity, layers=costs.layers(first), parameters=first.parameters)
        parity = _at_timed_size(every, assigned, keys, selection.seed, parity)
    parity = replace(parity, forward_flops=costs.flops(parity.layers, "forward"))
    parity = _as_published(group.task.published, parity)
    if parity.status == "failed":
        return Proven(parity=parity, references={}, handoffs={})
    leader = every.names[0]
    references = {part: every.folder / f"reference-{part}.npz" for part in checks.PARTS}
    every.ask(
        "reference",
        {
            leader: {
                "assigned": plain(assigned[leader]),
                "keys": keys,
                "seed": selection.seed,
                "batch": group.size.batch,
                "paths": {part: str(path) for part, path in references.items()},
            }
        },
    )
    handed = {n: _handoff(assigned[n], keys, told[n]) for n in every.names}
    handed[leader] |= {"changes": dict(found.changes)}
    return Proven(parity=parity, references=references, handoffs=handed)


def _as_proven(assigned: Sequence[Assigned], found: Proof) -> tuple[Assigned, ...]:
    """The leader's assignment at another size, its features in the order that was proven."""
    as_they_are = {one.path for one in found.assigned[next(iter(found.told))] if not one.grid_in}
    return tuple(replace(o, grid_in=None) if o.path in as_they_are else o for o in assigned)


def _as_published(published: Published, parity: Parity) -> Parity:
    """The proof, failed where parameters or multiply-accumulates are others than published."""
    if parity.status == "failed":
        return parity
    expected, counted = published.parameters, parity.parameters
    if expected is not None and counted != expected:
        text = f"{counted or 0:,} parameters, where {expected:,} are published"
        return replace(parity, status="failed", reason=text)
    macs, flops = published.macs, parity.forward_flops
    if macs is None or flops is None or abs(flops / 2 - macs) <= PUBLISHED * macs:
        return parity
    text = f"{flops / 2:,.0f} multiply-accumulates, where {macs:,.0f} are published"
    return replace(parity, status="failed", reason=text)


def handoffs(
    group: Group, selection: Selection, start: Start = WorkerProcess
) -> tuple[dict[str, Handoff], Parity]:
    """What workers need to load a group's weights, and the work of its layers: nothing is proven.

    Raises:
        WorkerError: a framework could not describe its twin.
        UsageError: the sides do not match.
    """
    with opened(group.stacks, selection, start) as every:
        asked = replace(_asked(group, selection), task=group.task)
        told, made = prove.matched(asked, every)
        assigned, keys = prove.assigned_to(every.names, made), _keys(made)
        found = {n: _handoff(assigned[n], keys, told[n]) for n in every.names}
        leader = told[every.names[0]]
        layers = costs.layers(leader)
    return found, Parity(status="partial", layers=layers, random=bool(leader.drops))


@contextmanager
def opened(
    stacks: Sequence[Stack], selection: Selection, start: Start = WorkerProcess
) -> Iterator[Sides]:
    """The workers that prove what these stacks run, for as long as it lasts."""
    engines = {
        selection.engine(s): replace(s, mode=frameworks.facts(s.framework).proof_mode)
        for s in stacks
    }
    pythons = {selection.engine(s): selection.variant(s).python for s in stacks}
    with sides(engines, selection.timeout_s, pythons, selection.env, start) as every:
        yield every


def _asked(group: Group, selection: Selection) -> Asked:
    """The proof runs at the quick size, where a bigger one is timed.

    Weights that are given may fit no other size than the one that is timed.
    """
    return Asked(
        source=sources.of_model(group.model, selection.models_dir, group.weights),
        task=group.task if group.weights else group.task.sized("quick"),
        seed=selection.seed,
        equalize=selection.equalize,
        policy=selection.policy,
    )


def _parity(names: tuple[str, ...], found: Proof) -> Parity:
    leader = found.told[names[0]]
    return Parity(
        status=found.status if found.status != "refused" else "failed",  # type: ignore[arg-type]
        reason=found.reason,
        adapters=names,
        max_rel_error=_known(found.errors),
        parameters=leader.parameters,
        weights_sha256=found.sha256,
        match=found.match.how,
        findings=found.findings,
        diagnosis=found.diagnosis,
        equalized=found.equalized,
        layers=costs.layers(leader),
        random=bool(leader.drops),
        notes=(*_notes(leader.drops), *found.side_by_side()),
    )


def _known(errors: Mapping[str, float]) -> dict[str, float | None]:
    """The errors, and the largest after training of either optimizer."""
    after = [e for name, e in errors.items() if name.startswith("after_steps")]
    known = dict(errors) | ({"after_steps": max(after)} if after else {})
    return {name: error if math.isfinite(error) else None for name, error in known.items()}


def _notes(drops: tuple[Any, ...]) -> tuple[str, ...]:
    if not drops:
        return ()
    text = (
        "Dropout is off where identity is proven, and compared by what drops, at what rate, and"
        " where; where the model trains, each framework draws its own masks, so the timed check"
        " compares inference alone."
    )
    return (text,)


def _counted(every: Sides, parity: Parity) -> Iterator[Finding]:
    """A finding for each framework whose own counter counts other FLOPs than the layers have."""
    ours = costs.flops(parity.layers, "forward")
    if not ours:
        return
    for name, answer in every.ask("count", {name: {} for name in every.names}).items():
        theirs = answer["flops"]
        if theirs and abs(theirs - ours) > COUNTED * ours:
            yield Finding(
                name=f"flops_{name}",
                text=f"{name}'s own counter counts {theirs:,.0f} FLOPs per sample, its layers with"
                f" weights {ours:,.0f}",
                error=abs(theirs - ours) / ours,
            )


def _at_timed_size(
    every: Sides,
    assigned: Mapping[str, Any],
    keys: Mapping[str, Any],
    seed: int,
    parity: Parity,
) -> Parity:
    """The proof with one inference pass at the timed size, where it was made at a smaller one."""
    leader, *others = every.names
    if not others:
        return parity
    each = {name: (assigned[name], keys) for name in every.names}
    found, _ = every.arrays("infer", each, seed=seed)
    worst = max(
        compare.relative_error(held, found[other].get(key))
        for other in others
        for key, held in found[leader].items()
    )
    parity = replace(parity, max_rel_error=parity.max_rel_error | {"output_as_timed": worst})
    if worst <= compare.TOLERANCE:
        return parity
    return replace(
        parity,
        status="failed",
        reason=f"at the timed size the outputs differ by {worst:.1e}, more than"
        f" {compare.TOLERANCE:.0e}, though at the size of the proof they do not",
    )


def _keys(made: Mapping[str, Match]) -> dict[str, dict[str, Any]]:
    return next(iter(made.values())).keys


def _handoff(assigned: Any, keys: Mapping[str, Any], told: Description) -> Handoff:
    return {
        "assigned": plain(assigned),
        "keys": dict(keys),
        "outputs": {name: asdict(one) for name, one in told.outputs.items()},
        "changes": {},
    }


def compare_stack(
    group: Group,
    selection: Selection,
    parity: Parity,
    stack: Stack,
    *,
    reference: Path,
    written: Path,
) -> Iterator[TimedCheck]:
    """What a stack of a group wrote, as it is timed, against a float64 reference."""
    return precision.timed_checks(
        parity.layers,
        group.task,
        str(stack),
        precision=precision.timed_precision(
            selection.precision, selection.device, selection.policy
        ),
        batch=group.size.batch,
        reference=reference,
        written=written,
    )
