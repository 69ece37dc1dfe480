"""From what was asked to what will be measured: selection, sizes, and the order of matchups."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from benchmarks import registry
from benchmarks.models._spec import ModelSpec, Size
from benchmarks.records import Matchup, Stack

EffortName = Literal["quick", "standard", "release"]
PRECISIONS = ("float32", "tf32", "bfloat16", "float16")
DEVICES = ("cpu", "cuda")
PROCESSES = ("forked", "fresh")
POLICIES = ("matched", "defaults", "best")
MOST = 20
"""Launches up to which an interval is narrowed."""
DEFAULT_DATA = "digits"
COLD = "cold_start"
ORDER = ("forward", "backward", "train_step", "dataload", "epoch", COLD)
"""How phases are shown; one that is not listed comes last."""


class SelectionError(ValueError):
    """What was asked cannot be planned; the text says what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How hard to try. ``launches`` is the sample size; the rest is the cost of each.

    ``rounds`` per launch, a turn of at least ``turn_s``, warm-up up to ``warm_s``. In
    ``cold_launches`` of the launches the workers start one after the other with an empty compiler
    cache, which is what measures a cold start; else they start side by side and find it full.
    """

    launches: int
    cold_launches: int
    rounds: int
    epoch_rounds: int
    turn_s: float
    warm_s: float


EFFORTS: dict[str, Effort] = {
    "quick": Effort(launches=3, cold_launches=1, rounds=4, epoch_rounds=1, turn_s=0.06, warm_s=0.2),
    "standard": Effort(
        launches=7, cold_launches=3, rounds=10, epoch_rounds=2, turn_s=0.2, warm_s=5.0
    ),
    "release": Effort(
        launches=15, cold_launches=5, rounds=20, epoch_rounds=2, turn_s=0.5, warm_s=15.0
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What a label behind a stack stands for: ``torch-eager@LABEL``.

    ``python`` is the interpreter of another environment. ``slow`` adds that share of its own time
    to every iteration: a known difference, for measuring what a measurement can see. ``layout`` and
    ``threads`` change that setting alone, which is how an explanation is tried.
    """

    label: str
    python: str | None = None
    slow: float = 0.0
    layout: str | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a user asked for; empty means the default."""

    models: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    stacks: tuple[str, ...] = ()
    device: str = "cpu"
    precision: str = "float32"
    batch: int | None = None
    effort: str = "quick"
    seed: int = 0
    timeout_s: float = 600.0
    shard: tuple[int, int] | None = None
    only: tuple[str, ...] = ()
    models_dir: Path | None = None
    data_dir: Path | None = None
    data: str | None = None
    policy: str = "matched"
    processes: str = "forked"
    launches: int | None = None
    until_ci: float | None = None
    budget_s: float | None = None
    variants: tuple[Variant, ...] = ()
    profile: bool = False
    telemetry: bool = True

    def variant(self, stack: Stack) -> Variant:
        """What the stack's label stands for; nothing special where it has none."""
        return next((v for v in self.variants if v.label == stack.label), Variant(label=""))

    def engine(self, stack: Stack) -> str:
        """What computes for a stack: its adapter, and the environment where that is another one."""
        return stack.adapter + (f"@{stack.label}" if self.variant(stack).python else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Matchups that share model and size, and so share the workers of a launch."""

    model: str
    spec: ModelSpec
    size: Size
    stacks: tuple[Stack, ...]
    matchups: tuple[Matchup, ...]
    data: str | None = None

    def phases(self) -> tuple[str, ...]:
        """The phases of the matchups, in their order."""
        return tuple(m.phase for m in self.matchups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a run will do, in order."""

    selection: Selection
    effort: Effort
    groups: tuple[Group, ...]
    unsupported: dict[str, str] = field(default_factory=dict)

    def lacking(self, model: str, stack: Stack) -> str | None:
        """Why a stack cannot run a model here, or ``None``."""
        dialect = registry.adapter(stack.adapter).dialect
        if not registry.has_twin(model, dialect, self.selection.models_dir):
            return f"the model has no {dialect} twin"
        return self.unsupported.get(str(stack))

    def only(self, case_ids: Collection[str]) -> Plan:
        """The same plan with no other cases; a group keeps every stack that one of them needs."""
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
        SelectionError: anything else that cannot be; the text says what is allowed.
    """
    _check(selection)
    _check_variants(selection)
    models = _models(selection)
    phases = _chosen("phase", selection.phases, registry.names("phases"))
    phases = tuple(sorted(phases, key=lambda p: ORDER.index(p) if p in ORDER else len(ORDER)))
    stacks = _chosen_stacks(selection)
    groups = [_group(model, phases, stacks, selection) for model in models]
    if selection.shard:
        index, count = selection.shard
        groups = groups[index - 1 :: count]
    reasons = {
        str(s): registry.unsupported(s, selection.device, selection.variant(s).python)
        for s in stacks
    }
    made = Plan(
        selection=selection,
        effort=_effort(selection),
        groups=tuple(groups),
        unsupported={stack: reason for stack, reason in reasons.items() if reason},
    )
    return made.only(_named_cases(made)) if selection.only else made


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


def _check(selection: Selection) -> None:
    for name, value, allowed in (
        ("effort", selection.effort, get_args(EffortName)),
        ("precision", selection.precision, PRECISIONS),
        ("device", selection.device, DEVICES),
        ("policy", selection.policy, POLICIES),
        ("kind of processes", selection.processes, PROCESSES),
    ):
        if value not in allowed:
            raise SelectionError(f"unknown {name} {value!r}; there are: {', '.join(allowed)}")
    if selection.precision == "tf32" and selection.device == "cpu":
        raise SelectionError("tf32 is a format of NVIDIA's tensor cores: it needs --device cuda")
    _check_numbers(selection)
    if selection.models_dir and not selection.models_dir.is_dir():
        raise SelectionError(f"--models-dir {selection.models_dir}: there is no such folder")
    if selection.shard and not 1 <= selection.shard[0] <= selection.shard[1]:
        index, count = selection.shard
        raise SelectionError(f"shard {index}/{count}; write i/n with 1 <= i <= n, for example 1/4")


def _check_numbers(selection: Selection) -> None:
    for what, number in (("batch", selection.batch), ("launches", selection.launches)):
        if number is not None and number < 1:
            raise SelectionError(f"{what} is {number}; it must be at least 1")
    if selection.until_ci is not None and not 0 < selection.until_ci < 1:
        raise SelectionError(f"--until-ci is {selection.until_ci:%}; write for example 1%")
    if selection.budget_s is not None and selection.budget_s <= 0:
        raise SelectionError(f"the budget is {selection.budget_s} s; it must be more than 0")
    if selection.timeout_s <= 0:
        raise SelectionError(f"timeout is {selection.timeout_s}; it must be more than 0 seconds")


def _check_variants(selection: Selection) -> None:
    if selection.variants and not selection.stacks:
        raise SelectionError("--python needs --stacks that use it, for example torch-eager@NAME")
    for variant in selection.variants:
        if variant.python and not shutil.which(variant.python):
            raise SelectionError(f"--python {variant.label}: {variant.python} is no interpreter")


def _models(selection: Selection) -> tuple[str, ...]:
    """The named models; else all, but for the heavy ones where a quick look is asked."""
    there = registry.names("models", selection.models_dir)
    if selection.models:
        return _chosen("model", selection.models, there)
    quick = selection.effort == "quick"
    return tuple(m for m in there if not (quick and registry.spec(m, selection.models_dir).heavy))


def _chosen(kind: str, asked: Sequence[str], allowed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(registry.check(kind, name, allowed) for name in dict.fromkeys(asked)) or allowed


def _chosen_stacks(asked: Selection) -> tuple[Stack, ...]:
    if not asked.stacks:
        return registry.default_stacks()
    allowed = tuple(map(str, registry.stacks(hidden=True)))
    shown = tuple(map(str, registry.stacks()))
    known = {variant.label for variant in asked.variants}
    for name in asked.stacks:
        plain, at, label = name.partition("@")
        if plain not in allowed:
            registry.check("stack", plain, shown)
        if at and label not in known:
            raise SelectionError(
                f"{name}: nothing says what {label!r} is; write --python {label}=INTERPRETER"
            )
    unused = known - {name.partition("@")[2] for name in asked.stacks}
    if unused:
        first = min(unused)
        raise SelectionError(f"no stack uses {first!r}: write {allowed[0]}@{first} in --stacks")
    return tuple(Stack.parse(name) for name in dict.fromkeys(asked.stacks))


def _group(model: str, phases: Sequence[str], stacks: tuple[Stack, ...], asked: Selection) -> Group:
    spec = registry.spec(model, asked.models_dir)
    size = spec.size(asked.effort)
    shaped = spec.at(size)
    batch = asked.batch or size.batch
    shape = "x".join(map(str, shaped.input_shape)) if shaped.input_shape != spec.input_shape else ""
    data = asked.data or DEFAULT_DATA

    def matchup(phase: str) -> Matchup:
        variant = shape
        if registry.load("phases", phase).NEEDS_DATA:
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
        model=model,
        spec=shaped,
        size=Size(
            batch=batch,
            input_shape=shaped.input_shape,
            train_samples=size.train_samples,
            test_samples=size.test_samples,
        ),
        stacks=stacks,
        matchups=tuple(matchup(phase) for phase in phases),
        data=data,
    )
