"""What was seen of the machine while a run was measured: disturbances, memory, telemetry."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Interference:
    """What the kernel recorded against the turns of a stack in a launch.

    Shares are of the turns' wall time and ``foreign_cores`` cores that others used; ``None`` where
    the kernel does not tell. ``canary_s`` is the median time of a fixed loop, ``switches`` how
    often a turn was preempted, ``gate_share`` what reading all this cost. ``rounds`` were taken,
    ``repeated`` beyond those wanted; ``busy``: too few were left alone. ``causes`` has each cause
    at its largest; ``disturbed``, of ``turns`` in all, those with a cause, each as its time over
    the median of those left alone. ``who`` maps programs to cores where the machine was busy.
    """

    canary_s: float | None = None
    delay_share: float | None = None
    foreign_cores: float | None = None
    steal_share: float | None = None
    pressure_share: float | None = None
    switches: int | None = None
    gate_share: float | None = None
    rounds: int = 0
    repeated: int = 0
    busy: bool = False
    causes: dict[str, float] = field(default_factory=dict)
    turns: int = 0
    disturbed: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    who: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbed:
    """Turns with one cause: how many, and how many times as long as those left alone."""

    turns: int
    times_as_long: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbances:
    """``Interference`` over a whole run; ``disturbed`` is by cause, ``gate_share`` a median."""

    rounds: int = 0
    repeated: int = 0
    busy_launches: int = 0
    turns: int = 0
    disturbed: dict[str, Disturbed] = field(default_factory=dict)
    gate_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The largest peaks over the launches of a case, each with the reason where there is none."""

    peak_rss_bytes: int | None = None
    peak_rss_reason: str | None = None
    device_peak_bytes: int | None = None
    device_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A metric over a phase (``profilers.metrics.summary``).

    A gauge has ``mean``, ``p50``, ``min`` and ``max``; everything else a ``value``, for flags their
    names. ``seconds`` is there where the window was shorter than the phase.
    """

    value: float | tuple[str, ...] | None = None
    start: float | None = None
    mean: float | None = None
    p50: float | None = None
    min: float | None = None
    max: float | None = None
    seconds: float | None = None
    note: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedGpu:
    """The GPU that was watched, or the reason why none was."""

    name: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a worker took of the machine (``profilers.telemetry``), or the ``reason`` for nothing.

    ``anchor`` has one moment in two clocks, ``mono_ns`` and ``unix_ns``. ``capabilities`` says of
    each metric ``available`` or why not. ``phases`` holds by name the ``seconds`` of a phase and
    its metrics; ``series`` the readings at ``at_s``. ``perturbation`` has pairs of median steps in
    seconds, without and with the sampler.
    """

    hz: float | None = None
    source: str = ""
    anchor: dict[str, int] = field(default_factory=dict)
    device: WatchedGpu | None = None
    capabilities: dict[str, str] = field(default_factory=dict)
    phases: dict[str, dict[str, float | Measured]] = field(default_factory=dict)
    series: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    perturbation: tuple[tuple[float, float], ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Perturbation:
    """What watching cost over a run, as a share of the median step.

    ``resolved``: the interval is narrow enough to tell the ``goal`` from nothing.
    """

    share: float | None = None
    ci95: tuple[float, float] | None = None
    pairs: int = 0
    goal: float | None = None
    resolved: bool = False
