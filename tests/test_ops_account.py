"""Intervals, and rows that add up: whatever is recorded, nothing is counted twice or lost."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.proof import costs
from benchmarks.results.records import LayerWork
from benchmarks.why._shared import profiling
from profilers.ops import account
from profilers.ops.intervals import innermost, shared
from profilers.ops.rows import Event, Recording

INTERVALS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 60)).map(lambda t: (t[0], t[0] + t[1])),
    max_size=12,
)


def covered(intervals: list[tuple[int, int]]) -> set[int]:
    """The nanoseconds that some interval covers, one by one."""
    return {moment for start, end in intervals for moment in range(start, end)}


@given(INTERVALS)
def test_each_moment_belongs_to_one_interval_that_covers_it(
    intervals: list[tuple[int, int]],
) -> None:
    pieces = innermost(intervals)
    for (_, end, _), (start, _, _) in itertools.pairwise(pieces):
        assert end <= start
    for start, end, index in pieces:
        assert intervals[index][0] <= start < end <= intervals[index][1]


@given(INTERVALS)
def test_nested_intervals_lose_nothing(intervals: list[tuple[int, int]]) -> None:
    """Each interval within the one before it: all of the outermost is given to someone."""
    nested = [(start // 4, 400 - start // 4) for start, _ in sorted(intervals)]
    assert sum(end - start for start, end, _ in innermost(nested)) == len(covered(nested))


def test_the_innermost_of_nested_intervals_has_the_moment() -> None:
    pieces = innermost([(0, 100), (10, 40), (20, 30), (50, 60), (60, 60)])
    assert pieces == [
        (0, 10, 0), (10, 20, 1), (20, 30, 2), (30, 40, 1), (40, 50, 0), (50, 60, 3), (60, 100, 0)
    ]  # fmt: skip


def test_equal_intervals_and_an_overhang() -> None:
    assert innermost([(0, 10), (0, 10)]) == [(0, 10, 1)]
    assert innermost([(0, 10), (5, 20)]) == [(0, 5, 0), (5, 10, 1)]


@given(st.lists(INTERVALS, max_size=3))
def test_shares_of_several_threads_add_up_to_the_union(
    threads: list[list[tuple[int, int]]],
) -> None:
    pieces = [piece for one in threads for piece in innermost(one)]
    total = sum(shared(pieces).values())
    assert total == pytest.approx(len(covered([(start, end) for start, end, _ in pieces])))


def test_two_threads_share_the_moments_at_which_both_work() -> None:
    assert shared([(0, 10, "a"), (5, 15, "b")]) == {"a": 7.5, "b": 7.5}


def event(
    name: str, start: int, duration: int, *, thread: str = "0", device: bool = False, step: int = 0
) -> Event:
    """An operation of category ``name``."""
    return Event(name, name, "forward", None, start, duration, thread, device, step)


EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from("abc"),
        st.integers(0, 1900),
        st.integers(0, 400),
        thread=st.sampled_from("12"),
        step=st.integers(0, 1),
    ),
    max_size=15,
)


@given(EVENTS)
def test_rows_and_overhead_add_up_to_the_wall_time(events: list[Event]) -> None:
    """Whatever overlaps, on however many threads, and wherever it reaches out of its step."""
    found = account.attribute(
        Recording(events=tuple(events), starts_ns=(0, 1000), ends_ns=(1000, 2000))
    )
    assert found.wall_s == pytest.approx(1e-6)
    total = sum(row.self_s for row in found.rows) + found.overhead_s
    assert total == pytest.approx(found.wall_s)
    assert found.busy_s <= found.wall_s * (1 + 1e-9)


def test_rows_are_means_over_the_steps() -> None:
    events = [event("a", 0, 400), event("b", 100, 100), event("a", 1000, 200, step=1)]
    found = account.attribute(
        Recording(events=tuple(events), starts_ns=(0, 1000), ends_ns=(600, 1200))
    )
    assert [(r.op, r.calls) for r in found.rows] == [("a", 1.0), ("b", 0.5)]
    assert [r.self_s for r in found.rows] == pytest.approx([250e-9, 50e-9])
    assert found.wall_s == pytest.approx(400e-9)
    assert found.median_s == pytest.approx(400e-9)
    assert found.overhead_s == pytest.approx(100e-9)
    assert found.launches is None


def test_on_a_device_its_kernels_count_and_its_idle_time_is_overhead() -> None:
    events = [
        event("a", 0, 900),
        event("kernel", 100, 300, thread="stream 7", device=True),
        event("kernel", 500, 100, thread="stream 7", device=True),
    ]
    found = account.attribute(Recording(events=tuple(events), starts_ns=(0,), ends_ns=(1000,)))
    kernel = next(row for row in found.rows if row.op == "kernel")
    assert kernel.device_s == pytest.approx(400e-9)
    assert {row.op: row.calls for row in found.rows} == {"kernel": 2, "a": 1}
    assert found.busy_s == pytest.approx(400e-9)
    assert found.overhead_s == pytest.approx(600e-9)
    assert found.launches == 2
    assert found.on_device


def test_flops_stand_at_the_row_that_multiplies_longest() -> None:
    events = [
        Event("prepare", "conv", "forward", "conv1", 0, 10, "0", False, 0),
        Event("convolve", "conv", "forward", "conv1", 10, 80, "0", False, 0),
        Event("relu", "elementwise", "forward", "conv1", 90, 200, "0", False, 0),
    ]
    one = account.attribute(Recording(events=tuple(events), starts_ns=(0,), ends_ns=(300,)))
    found = account.merge([one], {("conv1", "forward"): 123.0})
    assert {r.op: r.flops for r in found.rows} == {"relu": None, "convolve": 123.0, "prepare": None}


def test_the_mean_of_recordings_adds_up_as_each_of_them_does() -> None:
    def one(conv_ns: int, relu_ns: int) -> account.Account:
        events = [Event("conv", "conv", "forward", "c", 0, conv_ns, "0", False, 0)]
        if relu_ns:
            events.append(Event("relu", "elementwise", "forward", "r", 100, relu_ns, "0", False, 0))
        return account.attribute(Recording(events=tuple(events), starts_ns=(0,), ends_ns=(200,)))

    found = account.merge([one(40, 20), one(80, 0)])
    assert {(r.op, r.calls): r.self_s for r in found.rows} == {
        ("conv", 1.0): pytest.approx(60e-9),
        ("relu", 0.5): pytest.approx(10e-9),
    }
    assert (found.steps, found.launches, found.on_device) == (2, None, False)
    assert sum(r.self_s for r in found.rows) + found.overhead_s == pytest.approx(found.wall_s)


def layer(name: str, macs: int, *, trainable: bool) -> LayerWork:
    """A layer of so many multiply-accumulates."""
    return LayerWork(
        name=name, kind="Dense", parameters=1, trainable=trainable, macs=macs, output=1, terms=1
    )


@pytest.mark.parametrize("frozen", [0, 2])
def test_the_flops_of_the_layers_are_those_of_the_step(frozen: int) -> None:
    macs = (30, 7, 11, 5)
    layers = [layer(f"l{i}", m, trainable=i >= frozen) for i, m in enumerate(macs)]
    counted = profiling.flops_of(layers, 4)
    assert sum(counted.values()) == 4 * (costs.flops(layers, "train_step") or 0)
    first, last = layers[0], layers[-1]
    assert counted[first.name, "forward"] == 4 * 2 * macs[0]
    assert counted[last.name, "backward"] == 4 * 2 * 2 * macs[-1]
    assert ((first.name, "backward") in counted) is first.trainable


def test_no_step_is_no_account() -> None:
    with pytest.raises(ValueError, match="no step was recorded"):
        account.attribute(Recording(events=(), starts_ns=(), ends_ns=()))
