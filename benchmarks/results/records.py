"""What a run leaves behind: frozen records, the same in memory, in the journal and in run.json.

Schema history:
    1  first version: a matchup's fields stood among those of its result, and the environment,
       memory, telemetry, disturbances and profiles were free mappings.
    2  typed throughout; described by docs/run.schema.json. A run without ``sha256`` is older than
       that field.

Units are in the names: ``_s`` seconds, ``_bytes`` bytes, ``_per_s`` per second. A value that
could not be had is ``None``, with the reason beside it; it is never 0. What is no number (a loss
that diverged) is ``None`` once it is stored. Fields that no constructor takes are derived from
the others, and derived anew when a record is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import IntEnum
from statistics import median, quantiles
from typing import Any, Literal

from benchmarks.results.machine import Environment, Floor
from benchmarks.results.observed import (
    Disturbances,
    Interference,
    Memory,
    Perturbation,
    Watched,
)
from benchmarks.results.profiles import StepProfile
from profilers.roofline import Place

SCHEMA = 2

Status = Literal[
    "ok",
    "oom_device",
    "oom_host",
    "timeout",
    "crash",
    "error",
    "invalid",
    "parity_failed",
    "unsupported",
    "interrupted",
]
EDITED = "edited"
"""In place of the digest of a run that was read and is not as it was written."""
COLD = "cold_start"
"""The phase whose sample is the start of a process."""
VerdictWord = Literal["faster", "slower", "no call", "not comparable"]
ProofStatus = Literal["proven", "failed", "partial"]

Setting = str | int | float | bool | None


class Exit(IntEnum):
    """Exit codes of every command; ``run.json`` repeats its own, because nox flattens them."""

    OK = 0
    REGRESSION = 1
    USAGE = 2
    INCOMPLETE = 3
    PARITY = 4
    NOTHING = 5
    LOCKED = 75
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Stack:
    """A framework in one of its modes, and a trainer where it is not the usual one.

    ``label`` tells copies of one apart: in another environment, or for a comparison with itself.
    """

    framework: str
    mode: str
    label: str = ""
    trainer: str = ""

    def __str__(self) -> str:
        trainer = f"+{self.trainer}" if self.trainer else ""
        return f"{self.framework}-{self.mode}{trainer}" + (f"@{self.label}" if self.label else "")

    @property
    def plain(self) -> Stack:
        """The stack without its label."""
        return replace(self, label="")

    @classmethod
    def parse(cls, text: str) -> Stack:
        """Read ``framework-mode``, with ``+trainer`` and ``@label`` behind it where they are given.

        Raises:
            ValueError: there is no dash to split at, or nothing behind the ``+`` or the ``@``.
        """
        name, at, label = text.partition("@")
        name, plus, trainer = name.partition("+")
        framework, dash, mode = name.rpartition("-")
        whole = framework and dash and mode and bool(plus) == bool(trainer)
        if not (whole and bool(at) == bool(label)):
            raise ValueError(
                f"{text!r} is not a stack: write FRAMEWORK-MODE, for example torch-eager"
            )
        return cls(framework, mode, label, trainer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matchup:
    """All that must be equal for stacks to be compared.

    ``variant`` says what else was chosen: the input shape where it is not the published one, and
    the data set with its number of samples where real data is read.
    """

    model: str
    phase: str
    batch: int
    precision: str = "float32"
    device: str = "cpu"
    policy: str = "matched"
    variant: str = ""

    @property
    def id(self) -> str:
        """The stable key of the history: the default policy and an empty variant are left out."""
        parts = [self.model, self.phase, f"b{self.batch}"]
        parts += [self.variant] if self.variant else []
        parts += [self.precision, self.device]
        parts += [self.policy] if self.policy != "matched" else []
        return ".".join(parts)

    def case_id(self, stack: str) -> str:
        """The stable key of one stack in this matchup."""
        return f"{self.id}.{stack}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What one stack gave in one launch; ``samples_s`` stand in round order, so they pair up.

    ``retraced`` counts graphs traced or compiled while turns were timed (``None``: the mode traces
    none). ``interference`` is what the kernel recorded against the turns of this launch, or
    ``None``.
    """

    index: int
    samples_s: tuple[float, ...]
    warmup_s: tuple[float, ...] = ()
    steady: bool = True
    iterations: int = 1
    retraced: int | None = None
    interference: Interference | None = None

    @property
    def busy(self) -> bool:
        """Whether the machine did not fall quiet while this launch was measured."""
        return self.interference is not None and self.interference.busy


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """The cost before the first useful result, with the compiler's cache empty or already warm.

    ``total_s`` runs from a started interpreter to the end of the first training step.
    """

    launch: int
    cache: Literal["empty", "warm"]
    import_s: float
    build_s: float
    first_step_s: float
    total_s: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        _derive(self, total_s=self.import_s + self.build_s + self.first_step_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is known about a case that failed: enough to mend it without running it again.

    ``peak_rss_bytes`` is the most memory that its process held, where that is known.
    """

    launch: int | None = None
    signal: str | None = None
    exit_code: int | None = None
    stack: str = ""
    stderr: str = ""
    peak_rss_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What an epoch taught, beside what it cost, as the framework says.

    ``metrics`` are the task's, computed by us from the outputs for the samples to test on.
    """

    train_loss: float | None
    train_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    train_samples: int
    test_samples: int
    metrics: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One stack in one matchup, with every sample it gave.

    ``settings`` are what the framework read back. ``roofline`` says where the median stands under
    the device's ceilings. ``notes`` say what happened that changed no sample: a process that did
    not end in order, a launch that broke off. Over all samples, ``None`` without any: ``median_s``,
    ``iqr_s`` (the interquartile range; from two samples on), ``min_s``, and ``throughput_per_s``,
    the items of an iteration over the median.
    """

    id: str
    stack: str
    status: Status
    reason: str | None = None
    launches: tuple[Launch, ...] = ()
    flops_per_iteration: float | None = None
    bytes_per_iteration: float | None = None
    items_per_iteration: int | None = None
    memory: Memory = field(default_factory=Memory)
    cold_starts: tuple[ColdStart, ...] = ()
    learned: tuple[Learned, ...] = ()
    settings: dict[str, Setting] = field(default_factory=dict)
    failure: Failure | None = None
    telemetry: Watched | None = None
    roofline: Place | None = None
    notes: tuple[str, ...] = ()
    median_s: float | None = field(init=False, default=None)
    iqr_s: float | None = field(init=False, default=None)
    min_s: float | None = field(init=False, default=None)
    throughput_per_s: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        samples = self.samples_s
        middle = median(samples) if samples else None
        quarter = quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else None
        items = self.items_per_iteration
        _derive(
            self,
            median_s=middle,
            iqr_s=quarter[2] - quarter[0] if quarter else None,
            min_s=min(samples, default=None),
            throughput_per_s=items / middle if items is not None and middle else None,
        )

    @property
    def samples_s(self) -> tuple[float, ...]:
        """Every sample of every launch, seconds per iteration."""
        return tuple(s for launch in self.launches for s in launch.samples_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where two twins first part, in forward order, then backward."""

    where: str
    quantity: str
    a: str
    b: str
    shape_a: tuple[int, ...]
    shape_b: tuple[int, ...]
    error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedCheck:
    """A timed stack against the float64 reference, with the bound its rounding allows.

    ``ok``: the error stays within the bound. What is no number (``None``) does not.
    """

    stack: str
    quantity: str
    error: float | None
    bound: float
    ok: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        _derive(self, ok=self.error is not None and self.error <= self.bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why two twins differ: at which layer, what each side states, and the line to write."""

    where: str
    cause: str
    torch: str = ""
    keras: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a framework really does differently: restated or bounded by the proof, and measured.

    ``error`` is the relative difference, where there is one to measure.
    """

    name: str
    text: str
    error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerWork:
    """What a layer with weights does for one sample, as the proof found it.

    ``macs`` are multiply-accumulates of its forward pass (``None``: unknown), ``output`` the
    numbers that it gives, ``terms`` those in its longest sum, ``looked_up`` whether of its weights
    only the rows that are looked up are touched.
    """

    name: str
    kind: str
    parameters: int
    trainable: bool
    macs: int | None
    output: int
    terms: int
    looked_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """The proof that the twins are the same function; errors are relative L2 norms.

    ``max_rel_error`` is by quantity, ``None`` where it is no number.
    ``status`` is ``partial`` where only one framework was there. ``match`` says how layers found
    each other. ``layers`` are those with weights, in forward order; ``random`` says that training
    draws masks, so that only inference can be compared as timed.
    """

    status: ProofStatus
    reason: str | None = None
    dtype: str = "float64"
    tolerance: float = 1e-9
    adapters: tuple[str, ...] = ()
    max_rel_error: dict[str, float | None] = field(default_factory=dict)
    parameters: int | None = None
    forward_flops: float | None = None
    weights_sha256: str | None = None
    first_difference: Difference | None = None
    timed: tuple[TimedCheck, ...] = ()
    notes: tuple[str, ...] = ()
    match: str | None = None
    findings: tuple[Finding, ...] = ()
    diagnosis: tuple[Cause, ...] = ()
    equalized: tuple[str, ...] = ()
    layers: tuple[LayerWork, ...] = ()
    random: bool = False

    @property
    def largest_error(self) -> float:
        """The largest of ``max_rel_error``; infinity where one is no number."""
        errors = self.max_rel_error.values()
        return max((math.inf if e is None else e for e in errors), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Stack ``a`` against stack ``b``: ``ratio`` is time of b over time of a, so > 1 favours a.

    ``ci95`` may lean on like matchups for the variance over launches, and has ``freedom`` degrees
    of freedom; ``plain_ci95`` rests on the launches of this matchup alone. ``busy``: there is no
    call because the machine did not fall quiet.
    """

    a: str
    b: str
    ratio: float | None
    ci95: tuple[float, float] | None
    launches: int
    margin: float
    verdict: VerdictWord
    reason: str | None = None
    busy: bool = False
    plain_ci95: tuple[float, float] | None = None
    freedom: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchupResult:
    """Everything known about one matchup.

    ``id`` is the matchup's; ``profile`` what its stacks' steps are made of, where that was asked.
    """

    matchup: Matchup
    parity: Parity | None
    cases: tuple[Case, ...]
    verdicts: tuple[Verdict, ...] = ()
    profile: StepProfile | None = None
    id: str = field(init=False, default="")

    def __post_init__(self) -> None:
        _derive(self, id=self.matchup.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One invocation: ``run.json``.

    ``sha256`` is the digest of all else, as ``codec`` writes and checks it: empty where none was
    written, ``edited`` where what was read does not have it.
    """

    sha256: str = field(default="", compare=False)
    run_id: str
    started: str
    seconds: float
    exit: int
    command: tuple[str, ...]
    environment: Environment
    effort: str = "quick"
    seed: int = 0
    aa_floor: Floor = field(default_factory=Floor)
    interference: Disturbances = field(default_factory=Disturbances)
    telemetry: Perturbation = field(default_factory=Perturbation)
    matchups: tuple[MatchupResult, ...] = ()
    schema: int = SCHEMA

    @property
    def edited(self) -> bool:
        """Whether it was changed after it was written."""
        return self.sha256 == EDITED


def _derive(record: object, **fields: Any) -> None:
    """Set fields that no constructor takes."""
    for name, value in fields.items():
        object.__setattr__(record, name, value)
