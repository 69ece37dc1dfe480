"""What a user asked for, checked as far as it can be without knowing which models there are."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from benchmarks.results.machine import Tuned
from benchmarks.results.records import Stack

EffortName = Literal["quick", "standard", "release"]
PRECISIONS = ("float32", "tf32", "bfloat16", "float16")
DEVICES = ("cpu", "cuda")
POLICIES = ("matched", "defaults", "best")
LABEL = re.compile(r"[\w.-]+", re.ASCII)
MOST = 20
"""Launches of a model up to which more are made, for a call or a narrow interval."""
LONGEST_S = 7 * 24 * 3600.0
"""What a case may be allowed to take: a clock that is set for longer may overflow."""
SEEDS = 1 << 32
"""How many seeds every library here takes."""


class SelectionError(ValueError):
    """What was asked cannot be planned; the text says what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How hard to try. ``launches`` is the sample size; the rest is the cost of each.

    At least ``rounds`` per launch, and as many as give each stack ``turns_s`` seconds of turns; a
    turn of at least ``turn_s``, warm-up up to ``warm_s``. What makes two turns of a stack differ
    mostly lasts for a turn, however long it is: many short ones tell more than few long ones. Of
    whole epochs at least ``epoch_rounds``, and as many as take each stack ``epochs_s`` seconds. In
    ``cold_launches`` of the launches the workers start one after the other with an empty compiler
    cache, which is what measures a cold start; else they start side by side and find it full.
    """

    launches: int
    cold_launches: int
    rounds: int
    epoch_rounds: int
    epochs_s: float
    turn_s: float
    turns_s: float
    warm_s: float

    def rounds_of(self, turn_s: float) -> int:
        """How many rounds a launch takes where its longest turn is expected to take so long."""
        return max(self.rounds, round(self.turns_s / max(turn_s, self.turn_s)))

    def epochs_of(self, epoch_s: float) -> int:
        """The same of whole epochs, which are never more than ``rounds``."""
        return min(self.rounds, max(self.epoch_rounds, int(self.epochs_s / epoch_s)))


BUDGET_S = 480.0
"""What a run of the effort ``quick`` may take where nothing else was asked."""
EFFORTS: dict[str, Effort] = {
    "quick": Effort(
        launches=3,
        cold_launches=1,
        rounds=4,
        epoch_rounds=1,
        epochs_s=1.0,
        turn_s=0.06,
        turns_s=0.25,
        warm_s=0.2,
    ),
    "standard": Effort(
        launches=7,
        cold_launches=3,
        rounds=10,
        epoch_rounds=2,
        epochs_s=5.0,
        turn_s=0.1,
        turns_s=2.0,
        warm_s=5.0,
    ),
    "release": Effort(
        launches=15,
        cold_launches=5,
        rounds=20,
        epoch_rounds=2,
        epochs_s=20.0,
        turn_s=0.2,
        turns_s=8.0,
        warm_s=15.0,
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
    batch: tuple[int, ...] = ()
    size: tuple[str, ...] = ()
    effort: str = "quick"
    seed: int = 0
    timeout_s: float = 600.0
    shard: tuple[int, int] | None = None
    only: tuple[str, ...] = ()
    models_dir: Path | None = None
    data_dir: Path | None = None
    data: str | None = None
    policy: str = "matched"
    launches: int | None = None
    until_ci: float | None = None
    budget_s: float | None = None
    variants: tuple[Variant, ...] = ()
    tuned: tuple[Tuned, ...] = ()
    profile: bool = False
    telemetry: bool = True
    equalize: bool = False
    env: tuple[str, ...] = ()

    @property
    def seeks_calls(self) -> bool:
        """Whether more launches are made where a call is near: not where their number is asked."""
        return not self.until_ci and (self.budget_s is not None or not self.launches)

    @property
    def limit_s(self) -> float | None:
        """The seconds that a run may take; ``None``: launches or widths alone say when to stop."""
        if self.budget_s is None and self.seeks_calls and self.effort == "quick":
            return BUDGET_S
        return self.budget_s

    def variant(self, stack: Stack) -> Variant:
        """What the stack's label stands for; nothing special where it has none."""
        return next((v for v in self.variants if v.label == stack.label), Variant(label=""))

    def tuning(self, stack: Stack, group: str) -> Tuned | None:
        """What the stack was tuned to for a group; its copies are tuned as it is."""
        named = {found.stack: found for found in self.tuned if found.model == group}
        return named.get(str(stack), named.get(str(stack.plain)))

    def engine(self, stack: Stack) -> str:
        """What computes for a stack: its framework, and the environment where it has its own."""
        return stack.framework + (f"@{stack.label}" if self.variant(stack).python else "")


def check(selection: Selection) -> None:
    """Refuse what cannot be.

    Raises:
        SelectionError: the text says what is allowed.
    """
    _check_variants(selection)
    for name, value, allowed in (
        ("effort", selection.effort, get_args(EffortName)),
        ("precision", selection.precision, PRECISIONS),
        ("device", selection.device, DEVICES),
        ("policy", selection.policy, POLICIES),
    ):
        if value not in allowed:
            raise SelectionError(f"unknown {name} {value!r}; there are: {', '.join(allowed)}")
    if selection.precision == "tf32" and selection.device == "cpu":
        raise SelectionError("tf32 is a format of NVIDIA's tensor cores: it needs --device cuda")
    _check_numbers(selection)
    for name in selection.env:
        if not name.isidentifier():
            raise SelectionError(f"--env {name!r}: write the name of a variable, its value is read")
    if selection.models_dir and not selection.models_dir.is_dir():
        raise SelectionError(f"--models-dir {selection.models_dir}: there is no such folder")
    if selection.shard and not 1 <= selection.shard[0] <= selection.shard[1]:
        index, count = selection.shard
        raise SelectionError(f"shard {index}/{count}; write i/n with 1 <= i <= n, for example 1/4")


def _check_numbers(selection: Selection) -> None:
    counts = [("batch", batch) for batch in selection.batch]
    for what, number in (*counts, ("launches", selection.launches)):
        if number is not None and number < 1:
            raise SelectionError(f"{what} is {number}; it must be at least 1")
    if selection.until_ci is not None and not 0 < selection.until_ci < 1:
        raise SelectionError(f"--until-ci is {selection.until_ci:%}; write for example 1%")
    if selection.budget_s is not None and not selection.budget_s > 0:
        raise SelectionError(f"the budget is {selection.budget_s} s; it must be more than 0")
    if not 0 < selection.timeout_s <= LONGEST_S:
        raise SelectionError(
            f"timeout is {selection.timeout_s:g} s; it must be more than 0 and at most a week"
        )
    if not 0 <= selection.seed < SEEDS:
        raise SelectionError(f"seed is {selection.seed}; it must be 0 to {SEEDS - 1}")


def _check_variants(selection: Selection) -> None:
    if selection.variants and not selection.stacks:
        raise SelectionError("--python needs --stacks that use it, for example torch-eager@NAME")
    labels = [variant.label for variant in selection.variants]
    for label in labels:
        if not LABEL.fullmatch(label):  # it names a folder of caches
            raise SelectionError(
                f"{label!r} is no name of a variant: letters, digits, '.', '_', '-'"
            )
        if labels.count(label) > 1:
            raise SelectionError(f"--python {label} is given twice: a name is one environment's")
    for variant in selection.variants:
        if variant.python and not shutil.which(variant.python):
            raise SelectionError(f"--python {variant.label}: {variant.python} is no interpreter")
