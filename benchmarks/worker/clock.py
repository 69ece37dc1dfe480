"""Measuring inside a worker: warm up, take a turn, decide the order of turns.

The timer and the device sync are arguments, so one rule serves every framework and the tests
need no waiting.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

Now = Callable[[], float]
Run = Callable[[], object]
Synchronize = Callable[[], object]

MEDIAN_TOLERANCE = 0.02
MAD_TOLERANCE = 0.10
MIN_WINDOW = 2
DISCARD = 2
"""Iterations that open a turn untimed, because others ran before."""
SETTLE_S = 0.03
"""Seconds of untimed work that open a turn, however short its iterations are.

``python -m benchmarks.selfcheck.turns`` on two cores, two models, two phases and four stacks: 5 ms
into a turn an iteration took up to 11 times as long as in its second half (4 ms instead of 0.4:
likely a thread that waits for its core until the scheduler's tick), after 10 ms up to 39 % longer,
after 20 ms 28 %, after 30 ms 10 % (TensorFlow's pool) and after 50 ms 3 %; where a step is longer
than these times only its first was slow.
"""
BLOCK_S = 0.008
"""What is timed of a turn is cut into blocks of about so many seconds; the sample is their median.

What is left of settling, or an iteration that loses its core for a moment, moves the mean of a turn
and few of its blocks. As above, in their second halves, the mean of PyTorch's forward passes varies
by 2.5 to 4.3 % from turn to turn, and the median block by 1.1 to 3.7 %; training steps and
TensorFlow vary as much either way. The wait at a block's end costs at most 11 us, or 0.14 % of it.
"""


class ClockError(RuntimeError):
    """The timer gave a time that cannot be."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Every iteration of a warm-up, in seconds, and whether a steady state was reached."""

    samples_s: tuple[float, ...]
    steady: bool


def warm_up(
    run: Run, synchronize: Synchronize, now: Now, *, window: int = 10, cap_s: float
) -> WarmUp:
    """Run single synchronised iterations until they are steady or the time is up.

    Each time another ``window`` iterations are done they are compared with the ``window`` before
    them. Steady means: the two medians are within 2 % of the smaller one, and in both windows the
    median absolute deviation is at most 10 % of the median.

    Args:
        run: one iteration; it may return before the device is done.
        synchronize: returns only when the device is idle.
        now: monotonic seconds.
        window: iterations per window, at least 2.
        cap_s: seconds after which to give up. They count from the end of the first iteration,
            which may compile for a minute and says nothing about the rest. At least 3 iterations
            are run, or 2 where the second alone takes longer than the cap.

    Raises:
        ClockError: an iteration took no time, negative time, or a time that is not finite.
        ValueError: a window or a cap that cannot be.
    """
    if window < MIN_WINDOW or not cap_s > 0:
        raise ValueError(f"window is {window} (at least 2), cap_s is {cap_s} (more than 0)")
    samples: list[float] = []
    deadline = math.inf
    synchronize()
    while True:
        start = now()
        run()
        synchronize()
        end = now()
        samples.append(_elapsed(start, end))
        count = len(samples)
        if count == 1:
            deadline = end + cap_s
        if count >= 2 * window and count % window == 0 and _agree(samples, window):
            return WarmUp(tuple(samples), steady=True)
        least = 2 if samples[-1] > cap_s else 3
        if end >= deadline and count >= least:
            return WarmUp(tuple(samples), steady=False)


def iterations_for(seconds_per_iteration: float, turn_s: float) -> int:
    """How many iterations make a turn of at least ``turn_s`` seconds; at least 1.

    Raises:
        ClockError: an iteration that takes no time, negative time, or no finite time.
    """
    return max(1, math.ceil(turn_s / _elapsed(0.0, seconds_per_iteration)))


def blocks(iterations: int, least: int) -> list[range]:
    """So many iterations in blocks of ``least`` or a few more, as equal as can be."""
    count = max(1, iterations // least)
    return [range(a, b) for a, b in pairwise(iterations * i // count for i in range(count + 1))]


class Monitor(Protocol):
    """What looks at the machine at both edges of what is timed."""

    def open(self) -> None:
        """Just before the clock starts."""

    def close(self) -> None:
        """Just after it has stopped."""


def turn(
    run: Run,
    synchronize: Synchronize,
    now: Now,
    *,
    iterations: int,
    block: int | None = None,
    discard: int = DISCARD,
    settle_s: float = 0.0,
    watch: Monitor | None = None,
    cap_s: float = math.inf,
) -> float:
    """One sample: seconds per iteration, the median over blocks; the device is idle at their edges.

    Args:
        run: one iteration; it may return before the device is done.
        synchronize: returns only when the device is idle.
        now: monotonic seconds.
        iterations: how many are timed, at least 1.
        block: how many are timed together at least; ``None`` for all of them.
        discard: how many are run before, untimed,
        settle_s: and for how many seconds at least.
        watch: opened before the clock starts and closed after it has stopped.
        cap_s: seconds after which no iteration but the first is begun: beside a busy neighbour one
            may take a hundred times as long as it should.

    Raises:
        ClockError: the turn took no time, negative time, or a time that is not finite.
        ValueError: no iterations.
    """
    if iterations < 1:
        raise ValueError(f"a turn of {iterations} iterations: there must be at least 1")
    _settle(run, synchronize, now, discard=discard, settle_s=settle_s)
    synchronize()
    if watch:
        watch.open()
    taken = _timed(run, synchronize, now, blocks(iterations, block or iterations), cap_s)
    if watch:
        watch.close()
    return median(taken)


def _timed(
    run: Run, synchronize: Synchronize, now: Now, parts: Sequence[range], cap_s: float
) -> list[float]:
    """Seconds per iteration of each block that was begun in time; at least one iteration is."""
    capped, taken = cap_s < math.inf, list[float]()
    start = end = now()
    for each in parts:
        if capped and taken and now() - start > cap_s:
            break
        began, done = end, 0
        while not done or (done < len(each) and (not capped or now() - start <= cap_s)):
            run()
            done += 1
        synchronize()
        end = now()
        taken.append(_elapsed(began, end) / done)
    return taken


def _settle(run: Run, synchronize: Synchronize, now: Now, *, discard: int, settle_s: float) -> None:
    began, ran = now() if settle_s else 0.0, 0
    while ran < discard or (settle_s and now() - began < settle_s):
        run()
        ran += 1
        if settle_s:  # else a device that queues its work would be told to do far too much of it
            synchronize()


def orders(stacks: Sequence[str], rounds: int, rng: random.Random) -> list[tuple[str, ...]]:
    """Who takes a turn when: one order per round, random and balanced.

    Rounds come in pairs: a random order, then the same backwards. Over a pair every stack has the
    same mean position, so neither a steady drift nor what runs before favours any.
    """
    made: list[tuple[str, ...]] = []
    while len(made) < rounds:
        order = tuple(rng.sample(stacks, len(stacks)))
        made += [order, order[::-1]]
    return made[:rounds]


def _elapsed(start: float, end: float) -> float:
    elapsed = end - start
    if not (math.isfinite(elapsed) and elapsed > 0):
        raise ClockError(f"the clock measured {elapsed} s: no time is zero, negative or not finite")
    return elapsed


def _agree(samples: Sequence[float], window: int) -> bool:
    windows = samples[-2 * window : -window], samples[-window:]
    middles = [median(part) for part in windows]
    if max(middles) > (1 + MEDIAN_TOLERANCE) * min(middles):
        return False
    return all(
        median(abs(s - middle) for s in part) <= MAD_TOLERANCE * middle
        for part, middle in zip(windows, middles, strict=True)
    )
