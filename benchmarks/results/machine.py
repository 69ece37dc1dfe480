"""The machine and software of a run, and what was measured of them, as run.json holds it.

What could not be had is ``None``; the reason stands beside it or under ``reasons``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

CheckState = Literal["equal", "unequal", "info", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A device, without its UUID and index: a result can be published as it is."""

    name: str
    driver: str | None = None
    memory_total_bytes: int | None = None
    compute_capability: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The most that the device was seen to do; ``reason`` says who could not be asked."""

    flops_per_s: float | None = None
    bytes_per_s: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One setting: ``equal`` or ``unequal`` between stacks, or ``info`` where it may differ."""

    check: str
    state: CheckState
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a timing was taken on and under.

    ``cores`` are those that the run may use, ``threads`` what each worker was told. ``versions``
    are by package, ``None`` where it is not installed; ``reasons`` by the field that is ``None``.
    ``variables`` are those of the environment that workers got and that may change a number.
    """

    fingerprint: str = ""
    cpu: str = ""
    cores: int | None = None
    threads: int | None = None
    memory_bytes: int | None = None
    gpu: tuple[Gpu, ...] | None = None
    gpu_reason: str | None = None
    os: str = ""
    kernel: str = ""
    python: str = ""
    versions: dict[str, str | None] = field(default_factory=dict)
    governor: str | None = None
    turbo: bool | None = None
    commit: str | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    ceiling: Ceiling | None = None
    fairness: tuple[Check, ...] = ()


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
class Floor:
    """How far apart equal stacks come out on this machine: a share, and how it was found.

    It rests on ``comparisons`` from the day ``oldest`` to ``newest``. ``ci95`` is its interval; the
    upper end is ``None`` where they are too few for one.
    """

    value: float | None = None
    how: str = "not measured: the margin of 2 % stands alone"
    comparisons: int = 0
    ci95: tuple[float, float | None] | None = None
    oldest: str | None = None
    newest: str | None = None
