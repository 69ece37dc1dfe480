"""What a run leaves behind: frozen records, the same in memory, in the journal and in run.json.

Schema history:
    1  first version.

Units are in the names: ``_s`` seconds, ``_bytes`` bytes, ``_per_s`` per second. A value that
could not be had is ``None``, with the reason beside it; it is never 0.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from dataclasses import dataclass, field, replace
from enum import IntEnum
from statistics import median, quantiles
from typing import Any, Literal, TypeVar

SCHEMA = 1

Status = Literal[
    "ok",
    "oom_device",
    "oom_host",
    "timeout",
    "crash",
    "error",
    "parity_failed",
    "unsupported",
    "interrupted",
]
COLD = "cold_start"
"""The phase whose sample is the start of a process."""
VerdictWord = Literal["faster", "slower", "no call", "not comparable"]
ProofStatus = Literal["proven", "failed", "partial"]

Record = TypeVar("Record")


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


class RecordError(ValueError):
    """A stored record does not have the shape its schema promises."""


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
class Tuned:
    """What a stack runs a model with under the policy ``best``, because it was measured faster.

    ``ratio`` and ``ci95`` say how much: the time that it takes as it comes over the time so.
    """

    model: str
    stack: str
    layout: str | None = None
    threads: int | None = None
    ratio: float
    ci95: tuple[float, float]


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
    interference: dict[str, Any] | None = None

    @property
    def busy(self) -> bool:
        """Whether the machine did not fall quiet while this launch was measured."""
        return bool((self.interference or {}).get("busy"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """The cost before the first useful result, with the compiler's cache empty or already warm."""

    launch: int
    cache: Literal["empty", "warm"]
    import_s: float
    build_s: float
    first_step_s: float

    @property
    def total_s(self) -> float:
        """From a started interpreter to the end of the first training step."""
        return self.import_s + self.build_s + self.first_step_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is known about a case that failed: enough to mend it without running it again."""

    launch: int | None = None
    signal: str | None = None
    exit_code: int | None = None
    stack: str = ""
    stderr: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What an epoch taught, beside what it cost, as the framework says.

    ``metrics`` are the task's, computed by us from the outputs for the samples to test on.
    """

    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    train_samples: int
    test_samples: int
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One stack in one matchup, with every sample it gave.

    ``roofline`` says where its median stands under the device's ceilings (``profilers.roofline``).
    """

    id: str
    stack: str
    status: Status
    reason: str | None = None
    launches: tuple[Launch, ...] = ()
    flops_per_iteration: float | None = None
    bytes_per_iteration: float | None = None
    items_per_iteration: int | None = None
    memory: dict[str, Any] = field(default_factory=dict)
    cold_starts: tuple[ColdStart, ...] = ()
    learned: tuple[Learned, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    telemetry: dict[str, Any] | None = None
    roofline: dict[str, Any] | None = None

    @property
    def samples_s(self) -> tuple[float, ...]:
        """Every sample of every launch, seconds per iteration."""
        return tuple(s for launch in self.launches for s in launch.samples_s)

    def summary(self) -> dict[str, Any]:
        """Median, interquartile range, minimum and throughput over all samples.

        Each is ``None`` where there are no samples.
        """
        samples = self.samples_s
        if not samples:
            return dict.fromkeys(("median_s", "iqr_s", "min_s", "throughput_per_s"))
        middle = median(samples)
        quarter = quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else None
        items = self.items_per_iteration
        return {
            "median_s": middle,
            "iqr_s": quarter[2] - quarter[0] if quarter else None,
            "min_s": min(samples),
            "throughput_per_s": items / middle if items is not None and middle > 0 else None,
        }


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
    """A timed stack against the float64 reference, with the bound its rounding allows."""

    stack: str
    quantity: str
    error: float
    bound: float

    @property
    def ok(self) -> bool:
        """Whether the error stays within the bound; a NaN does not."""
        return self.error <= self.bound


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

    ``status`` is ``partial`` where only one framework was there. ``match`` says how layers found
    each other. ``layers`` are those with weights, in forward order; ``random`` says that training
    draws masks, so that only inference can be compared as timed.
    """

    status: ProofStatus
    reason: str | None = None
    dtype: str = "float64"
    tolerance: float = 1e-9
    adapters: tuple[str, ...] = ()
    max_rel_error: dict[str, float] = field(default_factory=dict)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Stack ``a`` against stack ``b``: ``ratio`` is time of b over time of a, so > 1 favours a.

    ``busy``: there is no call because the machine did not fall quiet.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchupResult:
    """Everything known about one matchup.

    ``profile`` is what its stacks' steps are made of, where that was asked, as ``python -m
    profilers ops --json`` prints it; ``{"reason": …}`` where it could not be had.
    """

    matchup: Matchup
    parity: Parity | None
    cases: tuple[Case, ...]
    verdicts: tuple[Verdict, ...] = ()
    profile: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One invocation: ``run.json``."""

    run_id: str
    started: str
    seconds: float
    exit: int
    command: tuple[str, ...]
    environment: dict[str, Any]
    effort: str = "quick"
    seed: int = 0
    aa_floor: dict[str, Any] = field(default_factory=dict)
    interference: dict[str, Any] = field(default_factory=dict)
    telemetry: dict[str, Any] = field(default_factory=dict)
    matchups: tuple[MatchupResult, ...] = ()
    schema: int = SCHEMA


def to_json(record: Any) -> Any:
    """Plain data for ``json.dumps(..., allow_nan=False)``; a NaN or an infinity becomes ``None``.

    Derived figures that readers of run.json expect (a case's median, a matchup's id) are written
    beside the fields; ``from_json`` ignores them.
    """
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        data = {f.name: to_json(getattr(record, f.name)) for f in dataclasses.fields(record)}
        if isinstance(record, MatchupResult):
            return {"id": record.matchup.id, **data.pop("matchup"), **data}
        if isinstance(record, Case):
            return data | to_json(record.summary())
        if isinstance(record, ColdStart):
            return data | {"total_s": to_json(record.total_s)}
        if isinstance(record, TimedCheck):
            return data | {"ok": record.ok}
        return data
    if isinstance(record, dict):
        return {str(key): to_json(value) for key, value in record.items()}
    if isinstance(record, list | tuple):
        return [to_json(value) for value in record]
    if isinstance(record, float) and not math.isfinite(record):
        return None
    return record


def from_json(kind: type[Record], data: Any) -> Record:
    """Read a record back; unknown keys are ignored, so that a newer minor field does no harm.

    Raises:
        RecordError: a field is missing or has the wrong type; the text names the field.
    """
    return typing.cast("Record", _read(kind, data, kind.__name__))


def read_run(data: Any) -> Run:
    """Read ``run.json``, upgrading older schemas.

    Raises:
        RecordError: not a run, or written by a newer version.
    """
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(schema, int):
        raise RecordError("not a run: it has no integer field 'schema'")
    if schema > SCHEMA:
        raise RecordError(
            f"schema {schema} is newer than this version reads ({SCHEMA}): update twinbench"
        )
    return from_json(Run, data)


def _read(kind: Any, data: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in {typing.Union, types.UnionType}:
        options = typing.get_args(kind)
        if data is None and type(None) in options:
            return None
        return _read(next(o for o in options if o is not type(None)), data, where)
    if origin is tuple:
        return _read_tuple(kind, data, where)
    if origin is Literal:
        if data not in typing.get_args(kind):
            raise RecordError(f"{where}: {data!r} is not one of {', '.join(typing.get_args(kind))}")
        return data
    if dataclasses.is_dataclass(kind):
        return _read_record(kind, data, where)
    return _read_plain(dict if origin is dict else kind, data, where)


def _read_tuple(kind: Any, data: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise RecordError(f"{where}: expected a list, found {type(data).__name__}")
    item, *rest = typing.get_args(kind)
    if rest != [...] and len(data) != 1 + len(rest):
        raise RecordError(f"{where}: expected {1 + len(rest)} values, found {len(data)}")
    return tuple(_read(item, value, f"{where}[{i}]") for i, value in enumerate(data))


def _read_record(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise RecordError(f"{where}: expected an object, found {type(data).__name__}")
    if kind is MatchupResult and "matchup" not in data:
        data = {**data, "matchup": data}
    hints = _hints(kind)
    values = {}
    for f in dataclasses.fields(kind):
        if f.name in data:
            values[f.name] = _read(hints[f.name], data[f.name], f"{where}.{f.name}")
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise RecordError(f"{where}: field {f.name!r} is missing")
    return kind(**values)


@functools.cache  # it evaluates every annotation, and a run holds thousands of records
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _read_plain(kind: Any, data: Any, where: str) -> Any:
    if kind is Any:
        return data
    if kind is float and data is None:
        return math.nan  # to_json writes NaN as null: it must come back as what it was
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise RecordError(f"{where}: expected {kind.__name__}, found {type(data).__name__}")
    return data
