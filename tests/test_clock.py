"""Turns, warm-up and order, against a clock that moves only when told to."""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from benchmarks.worker.clock import (
    ClockError,
    WarmUp,
    iterations_for,
    orders,
    turn,
    warm_up,
)
from tests.conftest import FakeClock

BROKEN = pytest.mark.parametrize("step", [0.0, -1.0, math.nan, math.inf, -math.inf])


def nothing() -> None:
    """A device that is always idle."""


class Device:
    """Queues work: it takes its time when somebody waits for it."""

    def __init__(self, clock: FakeClock, costs: Iterable[float]) -> None:
        self.clock = clock
        self.costs = iter(costs)
        self.queued = 0.0
        self.log: list[str] = []

    def run(self) -> None:
        self.log.append("run")
        self.queued += next(self.costs)

    def synchronize(self) -> None:
        self.log.append("sync")
        self.clock.advance(self.queued)
        self.queued = 0.0

    def now(self) -> float:
        self.log.append("now")
        return self.clock()


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  (an order, not a secret)


def paced(clock: FakeClock, costs: Iterable[float]) -> Callable[[], None]:
    """An iteration that takes the next cost."""
    steps = iter(costs)
    return lambda: clock.advance(next(steps))


def warm(clock: FakeClock, costs: Iterable[float], cap_s: float, window: int = 10) -> WarmUp:
    return warm_up(paced(clock, costs), nothing, clock, window=window, cap_s=cap_s)


def test_a_turn_times_its_iterations_and_none_of_the_discarded(clock: FakeClock) -> None:
    device = Device(clock, [8.0, 4.0, 0.25, 0.5, 0.75])
    assert turn(device.run, device.synchronize, device.now, iterations=3) == 0.5
    assert device.log == [
        *["run", "run", "sync", "now"],
        *["run", "run", "run", "sync", "now"],
    ]


def test_a_turn_of_short_iterations_settles_by_time(clock: FakeClock) -> None:
    device = Device(clock, [8.0, 4.0, 2.0, 1.0, 0.5, 0.5])
    found = turn(device.run, device.synchronize, device.now, iterations=2, discard=2, settle_s=14.5)
    assert found == 0.5
    assert device.log.count("run") == 6  # 8 + 4 + 2 s do not suffice


def test_a_turn_in_blocks_waits_at_the_end_of_each_and_takes_their_median(
    clock: FakeClock,
) -> None:
    """A core that is lost for a moment slows one block, and not the sample."""
    device = Device(clock, [1.0, 2.0, 90.0, 2.0, 2.0, 4.0, 2.0])
    found = turn(device.run, device.synchronize, device.now, iterations=7, block=2, discard=0)
    assert found == (2.0 + 4.0 + 2.0) / 3  # the last of 1.5, 46 and that
    assert device.log == [
        *["sync", "now"],
        *["run", "run", "sync", "now"],
        *["run", "run", "sync", "now"],
        *["run", "run", "run", "sync", "now"],
    ]


@pytest.mark.parametrize("block", [7, 8, 1000])
def test_a_block_may_be_all_of_a_turn(clock: FakeClock, block: int) -> None:
    costs = paced(clock, [1.0, 2.0, 90.0, 2.0, 2.0, 5.0, 3.0])
    assert turn(costs, nothing, clock, iterations=7, block=block, discard=0) == 15.0


def test_a_turn_that_loses_its_core_before_it_begins_times_one_iteration() -> None:
    """Else there is nothing to take the median of, and the case is lost."""
    times = iter([0.0, 100.0, 101.0])  # the start; too late for a second iteration; the end
    assert turn(nothing, nothing, lambda: next(times), iterations=8, discard=0, cap_s=5) == 101.0


def test_a_turn_may_discard_nothing(clock: FakeClock) -> None:
    device = Device(clock, [8.0])
    assert turn(device.run, device.synchronize, device.now, iterations=1, discard=0) == 8.0
    assert device.log == ["sync", "now", "run", "sync", "now"]


@BROKEN
def test_a_broken_clock_gives_no_sample(clock: FakeClock, step: float) -> None:
    with pytest.raises(ClockError, match="the clock measured"):
        turn(lambda: clock.advance(step), nothing, clock, iterations=4, discard=0)


@pytest.mark.parametrize("iterations", [0, -1])
def test_a_turn_has_iterations(clock: FakeClock, iterations: int) -> None:
    with pytest.raises(ValueError, match=f"turn of {iterations} iterations"):
        turn(nothing, nothing, clock, iterations=iterations)


def test_warm_up_ends_with_two_equal_windows_and_keeps_every_sample(clock: FakeClock) -> None:
    costs = [8.0, 4.0, 2.0, 2.0, 2.0, *[1.0] * 35]
    found = warm(clock, costs, cap_s=1000)
    assert found == WarmUp(tuple(costs[:30]), steady=True)  # 1-10 and 11-20 differ, 11-30 do not


def test_warm_up_waits_for_the_device(clock: FakeClock) -> None:
    device = Device(clock, [0.5] * 20)
    found = warm_up(device.run, device.synchronize, device.now, cap_s=1000)
    assert found == WarmUp((0.5,) * 20, steady=True)
    assert device.log == ["sync", *["now", "run", "sync", "now"] * 20]


@pytest.mark.parametrize(
    ("later", "steady"),
    [
        ([1.015625] * 4, True),
        ([0.984375] * 4, True),
        ([1.03125] * 4, False),
        ([0.96875] * 4, False),
        ([0.9375, 1.0, 1.0, 1.0625], True),  # MAD 0.03125
        ([0.75, 0.875, 1.125, 1.25], False),  # median 1, MAD 0.1875
    ],
)
def test_steady_is_medians_within_2_and_mads_within_10_percent(
    clock: FakeClock, later: list[float], steady: bool
) -> None:
    found = warm(clock, [1.0] * 4 + later, cap_s=6.5, window=4)
    assert found.steady is steady
    assert found.samples_s == (*[1.0] * 4, *later)


def test_noise_in_the_first_window_is_not_steady_either(clock: FakeClock) -> None:
    costs = [0.75, 0.875, 1.125, 1.25, *[1.0] * 4]
    assert warm(clock, costs, cap_s=7.0, window=4) == WarmUp(tuple(costs), steady=False)


def test_a_warm_up_that_never_settles_stops_at_the_cap(clock: FakeClock) -> None:
    costs = [2.0**-n for n in range(10)] + [float(n) for n in range(1, 50)]
    found = warm(clock, costs, cap_s=16.0)
    assert not found.steady
    spent = sum(found.samples_s[1:])
    assert spent >= 16.0 > spent - found.samples_s[-1]


def test_the_cap_does_not_count_a_first_iteration_that_compiles(clock: FakeClock) -> None:
    assert warm(clock, [64.0, *[1.0] * 40], cap_s=20).steady
    assert clock() == 64.0 + 19.0


@pytest.mark.parametrize(
    ("cost", "cap_s", "iterations"),
    [(1.0, 0.9, 2), (1.0, 1.0, 3), (1.0, 1.5, 3), (1.0, 2.0, 3), (1.0, 2.5, 4)],
)
def test_warm_up_runs_three_iterations_or_two_that_outlast_the_cap(
    clock: FakeClock, cost: float, cap_s: float, iterations: int
) -> None:
    assert warm(clock, [cost] * 9, cap_s=cap_s) == WarmUp((cost,) * iterations, steady=False)


@BROKEN
def test_warm_up_notices_a_broken_clock(clock: FakeClock, step: float) -> None:
    with pytest.raises(ClockError):
        warm(clock, [1.0, step], cap_s=10)


@pytest.mark.parametrize(("window", "cap_s"), [(1, 1.0), (10, 0.0), (10, -1.0), (10, math.nan)])
def test_warm_up_refuses_limits_that_end_nothing(
    clock: FakeClock, window: int, cap_s: float
) -> None:
    with pytest.raises(ValueError, match=f"window is {window} .* cap_s is {cap_s}"):
        warm(clock, [1.0], cap_s=cap_s, window=window)


@pytest.mark.parametrize(
    ("seconds", "turn_s", "iterations"),
    [(0.25, 1.0, 4), (0.3, 1.0, 4), (1.0, 1.0, 1), (5.0, 1.0, 1), (2.0**-20, 0.125, 2**17)],
)
def test_iterations_fill_the_turn(seconds: float, turn_s: float, iterations: int) -> None:
    assert iterations_for(seconds, turn_s) == iterations


@BROKEN
def test_no_number_of_iterations_follows_from_a_broken_time(step: float) -> None:
    with pytest.raises(ClockError):
        iterations_for(step, 1.0)


@pytest.mark.parametrize("stacks", [("a",), ("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")])
def test_over_a_pair_of_rounds_every_stack_stands_in_the_same_place_on_average(
    stacks: tuple[str, ...],
) -> None:
    made = orders(stacks, 20, seeded(0))
    assert len(made) == 20
    for first, second in zip(made[::2], made[1::2], strict=True):
        assert sorted(first) == list(stacks)
        assert second == first[::-1]


def test_an_odd_round_has_a_whole_order_too() -> None:
    made = orders(("a", "b", "c"), 7, seeded(0))
    assert [sorted(order) for order in made] == [["a", "b", "c"]] * 7
    assert orders(("a", "b"), 0, seeded(0)) == []


def test_orders_are_random_yet_follow_the_seed() -> None:
    made = orders(("a", "b", "c"), 1200, seeded(5))
    assert made == orders(("a", "b", "c"), 1200, seeded(5))
    seen = Counter(made)
    assert len(seen) == 6
    assert all(150 < count < 250 for count in seen.values())  # 200 each expected


def test_a_turn_is_cut_short_beside_a_busy_neighbour(clock: FakeClock) -> None:
    ran = []

    def run() -> None:
        ran.append(1)
        clock.advance(1.0)

    took = turn(run, lambda: None, clock, iterations=1000, discard=0, cap_s=4.5)
    assert len(ran) == 5
    assert took == pytest.approx(1.0)


def test_a_turn_of_blocks_is_cut_short_within_one(clock: FakeClock) -> None:
    run = paced(clock, [1.0, 1.0, 1.0, 1.0, 4.0])
    took = turn(run, nothing, clock, iterations=1000, block=2, discard=0, cap_s=4.5)
    assert took == pytest.approx(1.0)  # of two blocks of two and one of one
    with pytest.raises(StopIteration):
        run()
