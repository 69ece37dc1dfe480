"""From what was asked to what will be measured: selection, sizes, and the order of matchups."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import frameworks
from benchmarks.request import discovery
from benchmarks.request.selection import EFFORTS, Effort, Selection, SelectionError, check
from benchmarks.results.records import COLD, Matchup, Stack
from benchmarks.tasks.task import Size, Task, TaskError

DEFAULT_DATA = "digits"
ORDER = (
    "forward", "postprocess", "first_token", "next_token",
    "backward", "train_step", "dataload", "epoch", COLD,
)  # fmt: skip
"""How phases are shown; one that is not listed comes last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Matchups that share model, size and batch, and so share the workers of a launch.

    ``name`` is the model, and the size and the batch where the model is run at several. ``sized``
    is the name of the size. ``weights`` is a file of the model's weights by canonical key;
    ``None``: as its folder has it.
    """

    name: str
    model: str
    sized: str
    task: Task
    size: Size
    stacks: tuple[Stack, ...]
    matchups: tuple[Matchup, ...]
    data: str | None = None
    weights: Path | None = None

    def phases(self) -> tuple[str, ...]:
        """The phases of the matchups, in their order."""
        return tuple(m.phase for m in self.matchups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a run will do, in order; ``broken`` says why a model cannot be had."""

    selection: Selection
    effort: Effort
    groups: tuple[Group, ...]
    unsupported: dict[str, str] = field(default_factory=dict)
    broken: dict[str, discovery.BadModelError] = field(default_factory=dict)

    def selection_of(self, group: Group) -> Selection:
        """What asks for one of the groups alone, in all else as all were asked for."""
        return replace(
            self.selection, models=(group.model,), size=(group.sized,), batch=(group.size.batch,)
        )

    def lacking(self, model: str, stack: Stack) -> str | None:
        """Why a stack cannot run a model here, or ``None``."""
        if model in self.broken:
            return str(self.broken[model])
        dialect = frameworks.facts(stack.framework).dialect
        if not discovery.has_twin(model, dialect, self.selection.models_dir):
            return f"the model has no {dialect} twin"
        return self.unsupported.get(str(stack))

    def only(self, case_ids: Collection[str]) -> Plan:
        """The same plan with no matchup and no stack of a model that none of the cases needs.

        Every matchup of a model keeps every stack that is left: they are timed against each other.
        """
        groups = []
        for group in self.groups:
            matchups = tuple(
                m
                for m in group.matchups
                if any(m.case_id(str(s)) in case_ids for s in group.stacks)
            )
            stacks = tuple(
                s for s in group.stacks if any(m.case_id(str(s)) in case_ids for m in matchups)
            )
            if matchups:
                groups.append(replace(group, matchups=matchups, stacks=stacks))
        return replace(self, groups=tuple(groups))

    def case_ids(self) -> tuple[str, ...]:
        """Every case, in order."""
        return tuple(m.case_id(str(s)) for g in self.groups for m in g.matchups for s in g.stacks)


def make(selection: Selection) -> Plan:
    """Plan a selection.

    Raises:
        UnknownNameError: a model, phase or stack that is not there.
        BadModelError: none of its models can be had.
        SelectionError: anything else that cannot be; the text says what is allowed.
    """
    check(selection)
    tasks, broken = _tasks(selection)
    phases = _chosen("phase", selection.phases, discovery.names("phases"))
    phases = tuple(sorted(phases, key=lambda p: ORDER.index(p) if p in ORDER else len(ORDER)))
    stacks = _chosen_stacks(selection)
    if selection.shard:
        index, count = selection.shard
        tasks = dict([*tasks.items()][index - 1 :: count])
    groups = _distinct(
        _group(model, task, sized, batch, phases, stacks, selection)
        for model, task in tasks.items()
        for sized in _sizes(model, task, selection)
        for batch in selection.batch or (task.size(sized).batch,)
    )
    reasons = {
        str(s): discovery.unsupported(s, selection.device, selection.variant(s).python)
        for s in stacks
    }
    made = Plan(
        selection=selection,
        effort=_effort(selection),
        groups=groups,
        unsupported={stack: reason for stack, reason in reasons.items() if reason},
        broken=broken,
    )
    return made.only(_named_cases(made)) if selection.only else made


def _distinct(groups: Iterable[Group]) -> tuple[Group, ...]:
    """The groups without what one before has: two sizes of a model may have the same shapes."""
    kept, there = list[Group](), set[Matchup]()
    for group in groups:
        matchups = tuple(m for m in group.matchups if m not in there)
        there.update(matchups)
        kept += [replace(group, matchups=matchups)] if matchups else []
    return tuple(kept)


def _effort(selection: Selection) -> Effort:
    effort = EFFORTS[selection.effort]
    return replace(effort, launches=selection.launches) if selection.launches else effort


def _named_cases(made: Plan) -> set[str]:
    """The cases that ``--only`` names; the id of a matchup stands for all of its cases."""
    known = {
        m.id: {m.case_id(str(s)) for s in group.stacks}
        for group in made.groups
        for m in group.matchups
    }
    known |= {case: {case} for case in made.case_ids()}
    for name in made.selection.only:
        if name not in known:
            near = ", ".join(difflib.get_close_matches(name, known, cutoff=0.0))
            raise SelectionError(f"--only: unknown id {name!r}; the nearest: {near or 'none'}")
    return set().union(*(known[name] for name in made.selection.only))


def _tasks(selection: Selection) -> tuple[dict[str, Task], dict[str, discovery.BadModelError]]:
    """The named models; else those of no family, without the heavy ones in a quick look.

    Those that cannot be had come last, with a task that says nothing, and with the reason.
    """
    named = discovery.selected(selection.models, selection.models_dir)
    quick = selection.effort == "quick" and not selection.models
    tasks, broken = dict[str, Task](), dict[str, discovery.BadModelError]()
    for model in named or discovery.names("models", selection.models_dir):
        try:
            task = discovery.task(model, selection.models_dir, selection.env)
        except discovery.BadModelError as error:
            broken[model] = error
        else:
            if not (quick and task.heavy):
                tasks[model] = task
    if broken and not tasks:
        raise next(iter(broken.values()))
    return tasks | dict.fromkeys(broken, Task(inputs={})), broken


def _chosen(kind: str, asked: Sequence[str], allowed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(discovery.check(kind, name, allowed) for name in dict.fromkeys(asked)) or allowed


def _chosen_stacks(asked: Selection) -> tuple[Stack, ...]:
    if not asked.stacks:
        return discovery.default_stacks()
    allowed = tuple(map(str, discovery.stacks(hidden=True)))
    shown = tuple(map(str, discovery.stacks()))
    known = {variant.label for variant in asked.variants}
    for name in asked.stacks:
        plain, at, label = name.partition("@")
        bare, plus, trainer = plain.partition("+")
        if bare not in allowed:
            discovery.check("stack", bare, shown)
        if plus:
            there = discovery.trainers(Stack.parse(bare).framework, asked.models_dir)
            discovery.check(f"trainer of {bare}", trainer, there)
        if at and label not in known:
            raise SelectionError(
                f"{name}: nothing says what {label!r} is; write --python {label}=INTERPRETER"
            )
    unused = known - {name.partition("@")[2] for name in asked.stacks}
    if unused:
        first = min(unused)
        raise SelectionError(f"no stack uses {first!r}: write {allowed[0]}@{first} in --stacks")
    return tuple(Stack.parse(name) for name in dict.fromkeys(asked.stacks))


def _possible(model: str, task: Task, phases: Sequence[str], asked: Selection) -> tuple[str, ...]:
    """The phases that a task can be run in; those that read data take labelled samples.

    Those that need a function of the twins are left out where these do not define it. Of a model
    that cannot be had, whose task has no input, it is those that were asked for.

    Raises:
        SelectionError: one was asked for that it cannot.
    """
    if not task.inputs and asked.phases:
        return tuple(phases)
    for phase in phases:
        if lacking := _undefined(model, phase, asked):
            if asked.phases:
                raise SelectionError(
                    f"{model} has no phase {phase}: not every twin defines {lacking}"
                )
            phases = tuple(p for p in phases if p != phase)
    try:
        task.labelled()
    except TaskError as error:
        reading = [p for p in phases if discovery.load("phases", p).NEEDS_DATA]
        if asked.phases and reading:
            raise SelectionError(f"{model} has no phase {reading[0]}: {error}") from None
        return tuple(p for p in phases if p not in reading)
    return tuple(phases)


def _undefined(model: str, phase: str, asked: Selection) -> str:
    """The first function that a phase needs and the twins do not all define; else ""."""
    needed: tuple[str, ...] = getattr(discovery.load("phases", phase), "NEEDS_TWIN", ())
    return next((n for n in needed if not discovery.defines(model, n, asked.models_dir)), "")


def _sizes(model: str, task: Task, asked: Selection) -> tuple[str, ...]:
    """The names of the sizes that a model is run at."""
    for name in asked.size if task.inputs else ():
        if name not in task.sizes:
            known = ", ".join(task.sizes)
            raise SelectionError(f"{model} has no size {name!r}; there are: {known}")
    return tuple(dict.fromkeys(asked.size)) or ("quick" if asked.effort == "quick" else "standard",)


def _group(
    model: str,
    task: Task,
    sized: str,
    batch: int,
    phases: Sequence[str],
    stacks: tuple[Stack, ...],
    asked: Selection,
) -> Group:
    size, shaped = task.size(sized), task.sized(sized)
    several = [sized] if len(asked.size) > 1 else []
    several += [f"b{batch}"] if len(asked.batch) > 1 else []
    changed = [
        "x".join(map(str, one.shape))
        for name, one in shaped.inputs.items()
        if one.shape != task.inputs[name].shape
    ]
    changed += [f"{n}{v}" for n, v in shaped.settings.items() if v != task.settings[n]]
    shape = "-".join(changed)
    data = asked.data or DEFAULT_DATA

    def matchup(phase: str) -> Matchup:
        variant = shape
        if discovery.load("phases", phase).NEEDS_DATA:
            amount = size.train_samples if phase == "epoch" else None
            variant = "-".join(filter(None, (shape, data, str(amount or ""))))
        return Matchup(
            model=model,
            phase=phase,
            batch=batch,
            precision=asked.precision,
            device=asked.device,
            policy=asked.policy,
            variant=variant,
        )

    return Group(
        name=".".join([model, *several]),
        model=model,
        sized=sized,
        task=shaped,
        size=replace(size, batch=batch),
        stacks=stacks,
        matchups=tuple(matchup(phase) for phase in _possible(model, task, phases, asked)),
        data=data,
    )
