"""What a worker takes of the machine.

On a CPU that is what the kernel counted at the edges of the turns, which costs nothing. A GPU's
utilisation, memory and power are read from outside, once the turns have been timed. A step that is
watched so is never a sample. Each pass alternates between watched and unwatched stretches of the
same work, so that what the watching itself costs is a figure of the run and no assumption.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.request.selection import Effort, Selection
from benchmarks.results.observed import Measured, Perturbation, Watched
from benchmarks.results.records import Case
from profilers.gpu import gpu_state
from profilers.host import Reading
from profilers.metrics import ENERGY_S, absent, rounded
from profilers.telemetry import SamplerError, Telemetry

SECOND_PASS = ("cuda",)
"""The devices that tell more while they are watched than a kernel counts at the edges of turns."""
WATCH_S = {"quick": 0.5, "standard": 2.0, "release": 5.0}
"""How long a case is watched on such a device, by effort; 0: not at all."""
COUNTED = {
    "cpu.voluntary_switches": "waits",
    "cpu.involuntary_switches": "switches",
    "cpu.minor_faults": "minor_faults",
    "cpu.major_faults": "major_faults",
}
"""Metrics of the process probe, and the counters of a turn's record that they are sums of."""
UNCOUNTED = "not counted at the edges of turns"
PAIRS = 2
"""Watched and unwatched stretches of each pass."""
WARM_S = 0.1
"""Work before the first stretch: others ran since this worker's last turn."""
LONG_S = ENERGY_S + 0.5
"""The first watched stretch on a GPU, whose energy needs a window of that length."""
GOAL = 0.005
"""What watching may cost, as a share of the median step."""
CONFIDENCE = 0.95
BEFORE_A_BUDGET_ENDS = 1
"""The launch that is watched where a budget may end the run: the last that is always made."""

Sustain = Callable[[float], Mapping[str, Any] | None]
"""Repeats the work for so many seconds and tells ``median_s``; ``None`` where the worker failed."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some seconds of the work, watched or not; 0 s is one iteration."""

    watched: bool
    seconds: float


def due(selection: Selection, effort: Effort, launch: int) -> bool:
    """Whether the matchups of this launch are watched: those of one launch are, on a GPU."""
    if selection.device not in SECOND_PASS:
        return False
    last = effort.launches - 1
    if selection.limit_s is not None:
        last = min(last, BEFORE_A_BUDGET_ENDS)
    return selection.telemetry and WATCH_S[selection.effort] > 0 and launch == last


def of_turns(launches: Iterable[Mapping[str, Any]]) -> Watched | None:
    """What the kernel counted over the turns of a case, in the form of a watched one.

    The window is the time within turns. ``None`` where no turn was taken.

    Args:
        launches: of each what the journal holds: ``turns`` with their ``record``, and ``memory``.
    """
    told = list(launches)
    records = [turn["record"] for launch in told for turn in launch.get("turns", ())]
    if not records:
        return None
    seconds = sum(record["wall_s"] for record in records)
    peaks = [launch["memory"].get("peak_rss_bytes") for launch in told]
    peak = max((peak for peak in peaks if peak is not None), default=None)
    unread = "not read" if peak is None else None
    steady: dict[str, float | Measured] = {
        "seconds": rounded(seconds),
        "cpu.cores_used": Measured(value=rounded(sum(r["own_s"] for r in records) / seconds)),
        "cpu.peak_rss_bytes": Measured(value=peak, reason=unread),
    }
    for metric, name in COUNTED.items():
        known = all(name in record for record in records)
        grown = Measured(value=sum(r[name] for r in records)) if known else None
        steady[metric] = grown or Measured(reason=UNCOUNTED)
    return Watched(source="turns", phases={"steady": steady})


def stretches(
    watch_s: float, step_s: float, device: str, rng: random.Random
) -> tuple[Stretch, ...]:
    """Pairs in random order; a single watched one where an iteration outlasts a stretch."""
    seconds = watch_s / PAIRS
    first_s = max(seconds, LONG_S) if device == "cuda" else seconds
    if step_s > seconds:
        return (Stretch(watched=True, seconds=first_s if device == "cuda" else 0.0),)
    found = list[Stretch]()
    for index in range(PAIRS):
        watched_s = seconds if index else first_s
        found += rng.sample(
            [Stretch(watched=True, seconds=watched_s), Stretch(watched=False, seconds=seconds)], 2
        )
    return tuple(found)


def watch(
    sustain: Sustain,
    pid: int,
    *,
    watch_s: float,
    step_s: float,
    device: str = "cpu",
    rng: random.Random,
) -> dict[str, Any]:
    """The telemetry of a worker, as it is stored; ``{"value": None, "reason": …}`` without one.

    Where the GPU cannot be watched, its process is, and ``device`` says why.

    Args:
        sustain: has the worker repeat its work.
        pid: the worker.
        watch_s: how long it is watched at least, but for a GPU that needs longer.
        step_s: what an iteration takes, about.
        device: where it computes.
        rng: draws the order of the stretches.
    """
    nothing: Reading[str] = Reading(None)
    gpu = gpu_state.visible_uuid() if device == "cuda" else nothing
    plan = stretches(watch_s, step_s, "cuda" if gpu.value else "cpu", rng)
    medians: dict[bool, list[float]] = {True: [], False: []}
    try:
        with Telemetry(pid, gpu.value) as telemetry:
            if len(plan) > 1:
                telemetry.mark("warmup")
                sustain(WARM_S)
                telemetry.pause()
            for stretch in plan:
                if stretch.watched:
                    telemetry.mark("steady")
                told = sustain(stretch.seconds)
                if stretch.watched:
                    telemetry.pause()
                if told is None:
                    return absent("the worker failed while it was watched")
                medians[stretch.watched].append(told["median_s"])
        unseen = {"device": absent(gpu.reason)} if gpu.reason else {}
        return telemetry.result() | unseen | {"perturbation": _pairs(medians)}
    except SamplerError as error:
        return absent(str(error))


def perturbation(cases: Iterable[Case]) -> Perturbation:
    """Over the whole run: what watching costs, as a share of the median step.

    ``share`` is the median over all pairs of the watched step over the unwatched one, less 1;
    ``ci95`` comes from the order of the pairs alone (the sign test turned round). ``resolved`` says
    whether that interval is narrow enough to tell the goal from nothing.
    """
    ratios = sorted(
        on / off - 1
        for case in cases
        for off, on in (case.telemetry.perturbation if case.telemetry else ())
        if off > 0
    )
    low = lowest_rank(len(ratios))
    ci95 = None if low is None else (ratios[low], ratios[-1 - low])
    return Perturbation(
        share=median(ratios) if ratios else None,
        ci95=ci95,
        pairs=len(ratios),
        goal=GOAL,
        resolved=ci95 is not None and ci95[1] - ci95[0] <= 2 * GOAL,
    )


def lowest_rank(count: int) -> int | None:
    """The index that begins the 95 % interval of the median of so many ordered values.

    From the binomial distribution (Conover, Practical Nonparametric Statistics, 3.2): the largest
    ``r`` for which at most 2.5 % lie below it. ``None`` below 6 values.
    """
    below, found = 0.0, None
    for rank in range(count):
        below += math.comb(count, rank) * 0.5**count
        if below > (1 - CONFIDENCE) / 2:
            break
        found = rank
    return found


def _pairs(medians: Mapping[bool, list[float]]) -> list[list[float]]:
    """Median step without and with the sampler, pair by pair."""
    return [[off, on] for off, on in zip(medians[False], medians[True], strict=False)]
