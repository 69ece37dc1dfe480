"""From paired samples to a verdict that holds up.

Rounds of one launch share its luck (memory layout, clocks, neighbours), so they are not
independent: the launch is the unit of replication, and the interval is taken over launches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from benchmarks.results.observed import Interference
from benchmarks.results.records import Case, Launch, Verdict, VerdictWord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MIN_MARGIN = 0.02
MAX_BUSY = 1 / 3
"""Share of the launches that may be left out for a busy machine before there is no call at all."""
CAUSES = {
    "taken": "others took {:.0%} of a turn",
    "stolen": "the hypervisor took {:.0%} of a turn",
    "slow": "the core ran {:.2g} times slower",
    "gpu": "the device was throttled or shared",
}
WORTH_SAYING = 1000  # a remedy of more launches than this is none


@dataclass(frozen=True, slots=True)
class Estimate:
    """``ratio`` is time of b over time of a; ``ci95`` is ``None`` where one launch was made."""

    ratio: float
    ci95: tuple[float, float] | None
    launches: int


def launch_log_ratio(a: Sequence[float], b: Sequence[float]) -> float:
    """Median over paired rounds of ln(b / a): what one launch says.

    Args:
        a: seconds per iteration, one per round.
        b: the same for the other stack, in the same round order.

    Raises:
        ValueError: no rounds, unequal numbers of rounds, or a sample that is no time.
    """
    if len(a) != len(b):
        raise ValueError(f"rounds do not pair up: {len(a)} against {len(b)}")
    if not a:
        raise ValueError("no rounds")
    for sample in (*a, *b):
        if not (math.isfinite(sample) and sample > 0):
            raise ValueError(f"a sample of {sample} s is no time")
    return median(math.log(y) - math.log(x) for x, y in zip(a, b, strict=True))


def estimate(log_ratios: Sequence[float]) -> Estimate:
    """Geometric mean of the launches' ratios with a 95 % t-interval over launches.

    Args:
        log_ratios: one ``launch_log_ratio`` per launch.

    Raises:
        ValueError: no launches, one that is not finite, or ratios too far apart for a float.
    """
    count = len(log_ratios)
    if not count:
        raise ValueError("no launches")
    if not all(map(math.isfinite, log_ratios)):
        raise ValueError("the log-ratio of a launch is not finite")
    half = 0.0 if count == 1 else _t(count) * stdev(log_ratios) / math.sqrt(count)
    with np.errstate(over="ignore", under="ignore"):
        low, ratio, high = np.exp(fmean(log_ratios) + np.array([-half, 0.0, half])).tolist()
    if low == 0 or math.isinf(high):
        raise ValueError("the launches differ by more than a number can hold")
    return Estimate(ratio, None if count == 1 else (low, high), count)


def margin(aa_floor: float | None) -> float:
    """How far from 1 a ratio must be to count: 2 %, or this machine's A/A floor where larger.

    Raises:
        ValueError: a floor that is negative or not finite.
    """
    if aa_floor is None:
        return MIN_MARGIN
    if not (math.isfinite(aa_floor) and aa_floor >= 0):
        raise ValueError(f"an A/A floor of {aa_floor} is none: it must be finite and at least 0")
    return max(MIN_MARGIN, aa_floor)


def judge(found: Estimate, margin: float) -> tuple[VerdictWord, str | None]:
    """The word for a against b, and why there is no call where there is none.

    Args:
        found: the estimate; above 1 favours a.
        margin: what the whole interval must clear, as a fraction (0.02 is 2 %).
    """
    if found.ci95 is None:
        return "no call", "one launch gives no interval"
    low, high = found.ci95
    if low > 1 + margin:
        return "faster", None
    if high < 1 / (1 + margin):
        return "slower", None
    if low >= 1 / (1 + margin) and high <= 1 + margin:
        return "no call", f"no difference beyond ±{100 * margin:.3g} %"
    reason = f"interval [{low:.3f}, {high:.3f}] still crosses the margin"
    count = _launches_to_settle(found.ratio, found.ci95, found.launches, margin)
    return "no call", reason + (f"; about {count} launches would settle it" if count else "")


def compare(a: Case, b: Case, margin: float) -> Verdict:
    """Stack a against stack b over the launches that both finished, paired by index.

    A launch that cannot be paired is left out, and so is one beside which the machine stayed busy;
    the reason says so. Where more than a third were busy there is no call, whatever the figures.
    What cannot be compared at all is ``not comparable``, never an exception.
    """
    pairs, left_out, busy = _paired(a, b)
    obstacles = [*_obstacles(a), *_obstacles(b)]
    if not obstacles and not pairs:
        obstacles = ["no launch in common", *left_out]
    found = None
    if not obstacles:
        try:
            found = estimate([launch_log_ratio(x, y) for x, y in pairs])
        except ValueError as error:
            obstacles = [str(error)]
    word: VerdictWord = "not comparable"
    reasons = obstacles
    if found is not None:
        word, why = ("no call", busy) if busy else judge(found, margin)
        reasons = [*filter(None, [why]), *left_out, *_retraced(a), *_retraced(b)]
    return Verdict(
        a=a.stack,
        b=b.stack,
        ratio=found.ratio if found else None,
        ci95=found.ci95 if found else None,
        launches=found.launches if found else 0,
        margin=margin,
        verdict=word,
        reason="; ".join(reasons) or None,
        busy=found is not None and busy is not None,
    )


def _obstacles(case: Case) -> Iterator[str]:
    if case.status != "ok":
        yield f"{case.stack}: {case.status}" + (f" ({case.reason})" if case.reason else "")
    elif not case.samples_s:
        yield f"{case.stack} has no samples"


def _retraced(case: Case) -> Iterator[str]:
    """A stack that still compiled while it was timed: its times are no steady state."""
    graphs = [launch.retraced for launch in case.launches if launch.retraced]
    if graphs:
        yield (
            f"{case.stack} traced or compiled {sum(graphs)} more graphs while it was timed,"
            f" in {len(graphs)} of {len(case.launches)} launches"
        )


def _paired(
    a: Case, b: Case
) -> tuple[list[tuple[Sequence[float], Sequence[float]]], list[str], str | None]:
    """The launches to compare, those left out and why, and who kept the machine busy if too much.

    A launch is left out by what was recorded beside it, for both stacks, and not by its value.
    """
    of_a = {launch.index: launch for launch in a.launches}
    of_b = {launch.index: launch for launch in b.launches}
    pairs: dict[int, tuple[Sequence[float], Sequence[float]]] = {}
    left_out = []
    for index in sorted(of_a.keys() | of_b.keys()):
        x = of_a[index].samples_s if index in of_a else ()
        y = of_b[index].samples_s if index in of_b else ()
        if x and len(x) == len(y):
            pairs[index] = (x, y)
        else:
            left_out.append(f"launch {index} left out: {len(x)} rounds against {len(y)}")
    disturbed = {i: [of_a[i], of_b[i]] for i in pairs if of_a[i].busy or of_b[i].busy}
    if len(disturbed) > MAX_BUSY * len(pairs):
        who = _who([launch for both in disturbed.values() for launch in both])
        return (
            [*pairs.values()],
            left_out,
            f"machine busy in {len(disturbed)} of {len(pairs)}" + (f" launches ({who})"),
        )
    left_out += [f"launch {i} left out: machine busy ({_who(of)})" for i, of in disturbed.items()]
    return [pair for i, pair in pairs.items() if i not in disturbed], left_out, None


def _who(launches: Sequence[Launch]) -> str:
    """Who kept the machine busy and how much, at the worst."""
    cores: dict[str, float] = {}
    causes: dict[str, float] = {}
    for launch in launches:
        told = launch.interference or Interference()
        for name, share in told.who.items():
            cores[name] = max(share, cores.get(name, 0.0))
        for cause, size in told.causes.items():
            causes[cause] = max(size, causes.get(cause, 0.0))
    named = [f"{name} on {share:.2g} cores" for name, share in cores.items()]
    return ", ".join(named or [CAUSES[c].format(size) for c, size in causes.items() if c in CAUSES])


def _t(count: int) -> float:
    return float(stdtrit(count - 1, 0.975))


def _launches_to_settle(
    ratio: float, ci95: tuple[float, float], launches: int, margin: float
) -> int | None:
    """How many launches of the same spread bring the interval to one side of the nearest edge."""
    half = (math.log(ci95[1]) - math.log(ci95[0])) / 2
    spread = half * math.sqrt(launches) / _t(launches)
    room = abs(abs(math.log(ratio)) - math.log1p(margin))
    counts = np.arange(launches + 1, WORTH_SAYING)
    enough = stdtrit(counts - 1, 0.975) * spread / np.sqrt(counts) < room
    return int(counts[enough.argmax()]) if enough.any() else None
