"""From paired samples to a verdict that holds up.

Rounds of one launch share its luck (memory layout, clocks, neighbours), so they are not
independent: the launch is the unit of replication, and the interval is taken over launches.
``moderation`` says how the variance over launches is estimated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.results import special
from benchmarks.results.moderation import PROBABILITY, Prior, Spread
from benchmarks.results.observed import Interference
from benchmarks.results.records import Case, Launch, Verdict, VerdictWord
from benchmarks.results.wording import case_words

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
    "asleep": "the machine was suspended for {:.3g} s",
}
WIDER = 1.5
"""By how much an interval is widened, on the log scale, that must not hold 1 where there is a call.

With 6 degrees of freedom that makes an interval of 99 %."""
WORTH_SAYING = 1000  # a remedy of more launches than this is none


@dataclass(frozen=True, slots=True)
class Estimate:
    """``ratio`` is time of b over time of a; ``ci95`` is ``None`` where one launch was made.

    ``freedom`` are the degrees of freedom of ``ci95``: ``launches`` less 1 where it is ``None``.
    ``plain_ci95`` rests on the launches of this matchup alone.
    """

    ratio: float
    ci95: tuple[float, float] | None
    launches: int
    freedom: float | None = None
    plain_ci95: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What the launches of two stacks say.

    ``log_ratios`` are of the launches that count. ``obstacles`` are reasons why the stacks cannot
    be compared, ``busy`` the reason why there is no call, ``notes`` what a reader should know.
    """

    a: str
    b: str
    log_ratios: tuple[float, ...] = ()
    obstacles: tuple[str, ...] = ()
    busy: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def spread(self) -> Spread | None:
        """The variance over launches; ``None`` where there are too few, or the machine was busy."""
        enough = len(self.log_ratios) > 1 and not self.busy
        return Spread.of(self.log_ratios) if enough else None


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


def estimate(log_ratios: Sequence[float], prior: Prior | None = None) -> Estimate:
    """Geometric mean of the launches' ratios with a 95 % t-interval over launches.

    Args:
        log_ratios: one ``launch_log_ratio`` per launch.
        prior: what like matchups say of the variance over launches.

    Raises:
        ValueError: no launches, one that is not finite, or ratios too far apart for a float.
    """
    count = len(log_ratios)
    if not count:
        raise ValueError("no launches")
    if not all(map(math.isfinite, log_ratios)):
        raise ValueError("the log-ratio of a launch is not finite")
    if count == 1:
        return Estimate(_around(log_ratios, 0.0)[1], None, 1)
    own = Spread.of(log_ratios)
    used = prior.moderated(own, count) if prior else own
    low, ratio, high = _around(log_ratios, used.half_width(count))
    plain_low, _, plain_high = _around(log_ratios, own.half_width(count))
    return Estimate(ratio, (low, high), count, used.freedom, (plain_low, plain_high))


def _around(log_ratios: Sequence[float], half: float) -> tuple[float, float, float]:
    """The ends of an interval of log-ratios and its middle, as ratios.

    Raises:
        ValueError: one of them is no number.
    """
    with np.errstate(over="ignore", under="ignore"):
        low, ratio, high = np.exp(fmean(log_ratios) + np.array([-half, 0.0, half])).tolist()
    if low == 0 or math.isinf(high):
        raise ValueError("the launches differ by more than a number can hold")
    return low, ratio, high


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

    Beside the margin, which noise may exceed by far, a call needs an interval that does not hold 1
    even half as wide again: of 20 equal but noisy stacks one 95 % interval misses 1 by chance.

    Args:
        found: the estimate; above 1 favours a.
        margin: what the whole interval must clear, as a fraction (0.02 is 2 %).
    """
    if found.ci95 is None:
        return "no call", "one launch gives no interval"
    (low, high), (least, most) = found.ci95, _wider(found)
    if within(found, margin):
        return "no call", f"no difference beyond ±{100 * margin:.3g} %"
    if low <= 1 + margin and high >= 1 / (1 + margin):
        reason = f"interval [{low:.3f}, {high:.3f}] still crosses the margin"
    elif least <= 1 <= most:
        reason = f"interval half as wide again, [{least:.3f}, {most:.3f}], still holds 1"
    else:
        return ("faster" if low > 1 else "slower"), None
    count = launches_to_call(found, margin)
    return "no call", reason + (f"; about {count} launches would settle it" if count else "")


def _wider(found: Estimate) -> tuple[float, float]:
    """The interval of an estimate that has one, widened."""
    assert found.ci95 is not None  # noqa: S101 - the caller has looked
    low, high = map(math.log, found.ci95)
    middle, half = (low + high) / 2, WIDER * (high - low) / 2
    return math.exp(middle - half), math.exp(middle + half)


def within(found: Estimate | Verdict, margin: float) -> bool:
    """Whether the whole interval lies within the margin: the two are as good as equal."""
    if found.ci95 is None:
        return False
    low, high = found.ci95
    return low >= 1 / (1 + margin) and high <= 1 + margin


def compare(a: Case, b: Case, margin: float) -> Verdict:
    """Stack a against stack b by their own launches alone."""
    return verdict(compared(a, b), margin)


def compared(a: Case, b: Case) -> Comparison:
    """Stack a against stack b over the launches that both finished, paired by index.

    A launch that cannot be paired is left out, and so is one beside which the machine stayed busy;
    the notes say so. Where more than a third were busy there is no call, whatever the figures.
    """
    pairs, left_out, busy = _paired(a, b)
    obstacles, logs = [*_obstacles(a), *_obstacles(b)], list[float]()
    if not obstacles and not pairs:
        obstacles = ["no launch in common", *left_out]
    if not obstacles:
        try:
            logs = [launch_log_ratio(x, y) for x, y in pairs]
        except ValueError as error:
            obstacles = [str(error)]
    return Comparison(
        a=a.stack,
        b=b.stack,
        log_ratios=tuple(logs),
        obstacles=tuple(obstacles),
        busy=busy,
        notes=(*left_out, *_retraced(a), *_retraced(b)),
    )


def verdict(of: Comparison, margin: float, prior: Prior | None = None) -> Verdict:
    """The word for a comparison; what cannot be compared is ``not comparable``, never an exception.

    Args:
        of: the comparison.
        margin: what the whole interval must clear, as a fraction.
        prior: what like matchups say of the variance over launches.
    """
    obstacles, found = of.obstacles, None
    if not obstacles:
        try:
            found = estimate(of.log_ratios, prior)
        except ValueError as error:
            obstacles = (str(error),)
    if found is None:
        return Verdict(
            a=of.a,
            b=of.b,
            ratio=None,
            ci95=None,
            launches=0,
            margin=margin,
            verdict="not comparable",
            reason="; ".join(obstacles),
        )
    word, why = ("no call", of.busy) if of.busy else judge(found, margin)
    return Verdict(
        a=of.a,
        b=of.b,
        ratio=found.ratio,
        ci95=found.ci95,
        plain_ci95=found.plain_ci95,
        freedom=found.freedom,
        launches=found.launches,
        margin=margin,
        verdict=word,
        reason="; ".join([*filter(None, [why]), *of.notes]) or None,
        busy=of.busy is not None,
    )


def _obstacles(case: Case) -> Iterator[str]:
    if case.status != "ok":
        yield f"{case.stack}: {case_words(case)}"
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


def launches_to_call(found: Estimate | Verdict, margin: float) -> int | None:
    """How many launches of the same spread bring the interval to one side of the nearest edge.

    Beyond the margin that is where ``judge`` calls, and within it where the stacks are equal.
    """
    if found.ratio is None or found.ci95 is None:
        return None
    freedom = found.launches - 1.0 if found.freedom is None else found.freedom
    half = (math.log(found.ci95[1]) - math.log(found.ci95[0])) / 2
    spread = half * math.sqrt(found.launches) / special.stdtrit(freedom, PROBABILITY)
    off = abs(math.log(found.ratio))
    room = abs(off - math.log1p(margin))
    counts = np.arange(found.launches + 1, WORTH_SAYING)
    quantiles = special.stdtrit(freedom + counts - found.launches, PROBABILITY)
    halves = quantiles * spread / np.sqrt(counts)
    enough = halves < (min(room, off / WIDER) if off > math.log1p(margin) else room)
    return int(counts[enough.argmax()]) if enough.any() else None
