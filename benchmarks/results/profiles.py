"""What steps are made of, stack beside stack: what ``--profile`` stores. Times are per step."""

from __future__ import annotations

from dataclasses import dataclass, field

from profilers.ops.rows import Row, Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRow(Row):
    """A row of one stack."""

    stack: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfiledStack(Steps):
    """The steps of one stack as profiled, those of all ``recordings`` together.

    ``timed_s`` is the median step just before, without a profiler.
    """

    stack: str
    timed_s: float
    recordings: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One line of a comparison: ``delta_s`` is what it costs b beyond a.

    ``range_s`` is the least and the most of ``delta_s`` in any pair of recordings; ``share`` this
    line's part of the gap and ``cumulative`` that of all lines up to it; ``layers`` the largest.
    """

    key: str
    a_s: float
    b_s: float
    delta_s: float
    range_s: tuple[float, float] | None = None
    share: float | None
    cumulative: float | None
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The setting that an experiment changes, and the label of the stack with it."""

    label: str
    layout: str | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One change to a stack; ``variant`` where the changed stack is none of its own."""

    stack: str
    text: str
    variant: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A sentence on the line ``key``, and what would confirm it."""

    text: str
    key: str
    experiment: Experiment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Two stacks, the faster first: lines that add up to the gap, and what they say.

    ``doubt`` says why there is nothing to explain; there are no sentences then.
    """

    a: str
    b: str
    gap_s: float
    categories: tuple[Part, ...]
    layers: tuple[Part, ...] = ()
    doubt: str | None = None
    sentences: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What timing an experiment said of a claim.

    ``stack`` ran with the change, ``against`` without; ``ratio`` and ``ci95`` are of their times.
    ``closes`` is the part of the gap that the change takes away. ``run`` holds the samples.
    """

    claim: str = ""
    stack: str
    against: str
    verdict: str
    ratio: float | None
    ci95: tuple[float, float] | None
    launches: int
    closes: float | None
    text: str
    run: str = ""
    exit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProfile:
    """The steps of a matchup, or the ``reason`` why they were not recorded.

    ``failed`` has by stack why it could not be profiled.
    """

    model: str = ""
    phase: str = ""
    stacks: tuple[ProfiledStack, ...] = ()
    rows: tuple[StackRow, ...] = ()
    explained: tuple[Explained, ...] = ()
    confirmed: tuple[Confirmation, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
