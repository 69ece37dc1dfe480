"""The vocabulary of an op profile: what was recorded, and what it adds up to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One operation as it was recorded.

    ``start_ns`` counts from the start of the first recorded step; ``device`` says that a GPU ran it
    rather than a thread of the host; ``layer`` is the model's layer it belongs to, if any.
    ``kernel`` is what the profiler calls it, where ``name`` is that of what launched it or asked
    for it: an eager TensorFlow names the operation, whichever kernel it then takes.
    """

    name: str
    category: str
    phase: str
    layer: str | None
    start_ns: int
    duration_ns: int
    thread: str
    device: bool
    step: int
    kernel: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Implementation:
    """What computed a family of layers in one phase of a step, as far as recorded names tell.

    ``family`` is a category of ``kernels.FAMILIES``. ``name`` says it in words; ``None``: no rule
    knows what was recorded. ``ops`` are the names that told it, or those that took longest of what
    nobody knows; none at all: nothing of such a layer was recorded under its name.
    """

    family: str
    phase: str
    name: str | None
    ops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Equal operations of one step, on average over the steps recorded.

    ``self_s`` is the share of the step's wall time that they account for, seconds: what they ran
    without anything nested in them, divided by the number of threads that ran something at the same
    moment. ``device_s`` is the same of the GPU's time, ``None`` where no GPU was recorded.
    """

    op: str
    category: str
    phase: str
    layer: str | None
    calls: float
    self_s: float
    device_s: float | None
    flops: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Some steps of one stack.

    ``starts_ns`` and ``ends_ns`` bound each step, on the clock of the events. ``syncs`` counts how
    often the host waited for the device, beyond once at the end of each step; ``None``: not told.
    """

    events: tuple[Event, ...]
    starts_ns: tuple[int, ...]
    ends_ns: tuple[int, ...]
    syncs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Where the time of a step went, on average over ``steps`` of them, seconds per step.

    ``wall_s`` is the mean step, profiled, and ``median_s`` the median; ``overhead_s`` what no
    operation accounts for: Python, dispatch, waiting, and on a GPU its idle time. ``busy_s`` is the
    union of all operations, on the device where there is one. ``launches`` counts operations on the
    device per step, ``syncs`` how often the host waited for it. ``implementations`` say what
    computed attention, recurrence and convolutions.
    """

    steps: int
    wall_s: float
    median_s: float
    busy_s: float
    overhead_s: float
    on_device: bool
    launches: float | None
    syncs: float | None = None
    implementations: tuple[Implementation, ...] = ()
