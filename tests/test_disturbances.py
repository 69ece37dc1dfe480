"""A turn is judged by what was recorded beside it, never by the time it took."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest

from benchmarks.worker import clock, disturbances
from benchmarks.worker.disturbances import LEARNED, Counters, EdgeMonitor, Normal, causes, summary
from profilers import host
from tests.conftest import FakeClock

QUIET: dict[str, Any] = {
    "wall_s": 0.1,
    "own_s": 0.2,
    "delay_s": 0.0,
    "foreign_s": 0.0,
    "steal_s": 0.0,
    "pressure_s": 0.0,
    "switches": 3,
    "canary_s": 1e-4,
    "gate_s": 1e-3,
}


def learned(**shown: float) -> Normal:
    """What is normal after enough quiet turns that show this."""
    normal = Normal()
    for _ in range(LEARNED):
        normal.learn(QUIET | shown)
    return normal


def test_a_turn_left_alone_has_no_cause() -> None:
    assert causes(QUIET, learned()) == {}
    assert causes(QUIET, Normal()) == {}


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ({"delay_s": 0.08, "foreign_s": 0.06}, {"taken": pytest.approx(0.4)}),
        ({"delay_s": 0.03, "foreign_s": 0.09}, {"taken": pytest.approx(0.3)}),
        ({"delay_s": 0.08, "foreign_s": 0.024}, {}),  # the counter's steps may be all of it
        ({"delay_s": 0.08, "foreign_s": 0.0}, {}),  # its own pool is larger than the cores
        ({"delay_s": 0.0, "foreign_s": 0.09}, {}),  # others ran, on cores that nobody waited for
        ({"delay_s": None, "foreign_s": 0.09}, {}),
        ({"delay_s": 0.08, "foreign_s": None}, {}),
        ({"steal_s": 0.03}, {"stolen": pytest.approx(0.3)}),
        ({"steal_s": 0.01}, {}),  # one step of the counter may be rounding
        ({"canary_s": 1.5e-4}, {"slow": pytest.approx(1.5)}),
        ({"gpu": ["thermal"]}, {"gpu": 1.0}),
        ({"asleep_s": 3.0}, {"asleep": 3.0}),
        ({"asleep_s": 0.01}, {}),  # two clocks are not read at one moment
        ({"asleep_s": None}, {}),
        ({"wall_s": 9.9}, {}),  # however long it took
    ],
)
def test_each_cause_is_told_with_its_size(shown: dict[str, Any], found: dict[str, float]) -> None:
    assert causes(QUIET | shown, learned()) == found


def test_what_a_pool_does_to_itself_is_its_own_normal() -> None:
    normal = learned(delay_s=0.07)
    assert normal.delay_share() == pytest.approx(0.7)
    assert causes(QUIET | {"delay_s": 0.07, "foreign_s": 0.09}, normal) == {}
    beyond = causes(QUIET | {"delay_s": 0.12, "foreign_s": 0.09}, normal)
    assert beyond == {"taken": pytest.approx(0.5)}


def test_a_turn_beside_a_neighbour_teaches_nothing_of_delay() -> None:
    normal = Normal()
    for _ in range(10 * LEARNED):
        normal.learn(QUIET | {"delay_s": 0.09, "foreign_s": 0.09})
    assert normal.delay_share() == 0.0
    assert "taken" in causes(QUIET | {"delay_s": 0.09, "foreign_s": 0.09}, normal)


def test_a_core_that_is_always_slow_for_a_while_is_found_by_its_fastest_quarter() -> None:
    normal = Normal(canaries_s=[1e-4] * 4 + [2e-4] * 8)
    assert causes(QUIET | {"canary_s": 2e-4}, normal) == {"slow": pytest.approx(2.0)}


def test_a_watch_looks_outside_of_what_is_timed() -> None:
    fake = FakeClock()
    watch = EdgeMonitor(now=fake)

    def run() -> None:
        fake.advance(1.0)

    took = clock.turn(run, lambda: None, fake, iterations=3, discard=2, watch=watch)
    assert took == pytest.approx(1.0)
    assert len(watch.records) == 1
    record = watch.record()
    assert record["wall_s"] == pytest.approx(3.0)  # and neither the discarded nor the watching
    assert watch.records == []


@pytest.mark.parametrize(
    ("idle_s", "own_s", "foreign_s"),
    [
        (0.05, 0.1, pytest.approx(0.04)),
        (0.10, 0.1, 0.0),  # the counters' steps must not make less than nothing
        (None, 0.1, None),
    ],
)
def test_others_have_what_idling_the_hypervisor_and_we_leave(
    idle_s: float | None, own_s: float, foreign_s: Any
) -> None:
    before = Counters(
        at_s=7.0,
        own_s=1.0,
        delay_s=2.0,
        cpus=2,
        idle_s=None if idle_s is None else 3.0,
        steal_s=4.0,
        pressure_s=None,
        switches=5,
    )
    after = replace(
        before,
        at_s=7.1,
        own_s=1.0 + own_s,
        idle_s=None if idle_s is None else 3.0 + idle_s,
        steal_s=4.01,
        switches=8,
    )
    readings = iter((before, after))
    watch = EdgeMonitor(counters=lambda _now: next(readings))
    watch.open()
    watch.close()
    record = watch.record()
    assert record["foreign_s"] == foreign_s
    assert record["wall_s"] == pytest.approx(0.1)
    assert record["switches"] == 3


def test_a_watch_that_was_not_opened_says_so() -> None:
    with pytest.raises(RuntimeError, match="opened before"):
        EdgeMonitor().close()


def test_two_parts_of_a_turn_are_one_record() -> None:
    watch = EdgeMonitor()
    watch.records = [QUIET | {"canary_s": 3e-4}, QUIET | {"delay_s": None}]
    record = watch.record()
    assert record["wall_s"] == pytest.approx(0.2)
    assert record["canary_s"] == 3e-4
    assert record["delay_s"] is None


def test_the_live_kernel_is_read_and_costs_little() -> None:
    watch = EdgeMonitor()
    watch.open()
    watch.close()
    record = watch.record()
    assert 0 < record["canary_s"] < 0.1
    assert record["own_s"] >= 0
    told = summary([record])
    assert told["canary_s"] == record["canary_s"]
    assert summary([]) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux accounts the run queue")
def test_a_busy_neighbour_on_the_same_core_is_recorded() -> None:
    if host.run_queue_delay_s().value is None:
        pytest.skip("this kernel has no schedstat")
    cores = os.sched_getaffinity(0)
    one = {min(cores)}
    program = f"import os\nos.sched_setaffinity(0, {one})\nprint(flush=True)\nwhile True: pass"
    command = [sys.executable, "-I", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as neighbour:
        try:
            os.sched_setaffinity(0, one)
            assert neighbour.stdout is not None
            neighbour.stdout.readline()
            watch, before = EdgeMonitor(), Counters.read(monotonic)
            watch.open()
            while monotonic() < before.at_s + 0.4:
                pass
            watch.close()
        finally:
            os.sched_setaffinity(0, cores)
            neighbour.kill()
    found = causes(watch.record(), Normal())
    assert found["taken"] > disturbances.TAKEN_SHARE


def test_a_turn_in_which_the_machine_slept_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, slept_s = FakeClock(), 100.0
    monkeypatch.setattr(host, "suspended_s", lambda: host.Reading(slept_s))
    watch = EdgeMonitor(fake)
    watch.open()
    fake.advance(0.1)
    slept_s += 3600.0  # the turn's own clock stands still meanwhile
    watch.close()
    record = watch.record()
    assert (record["wall_s"], record["asleep_s"]) == (pytest.approx(0.1), 3600.0)
    assert causes(record, Normal())["asleep"] == 3600.0
    monkeypatch.setattr(host, "suspended_s", lambda: host.Reading(None, "not counted"))
    watch.open()
    fake.advance(0.1)
    watch.close()
    assert "asleep" not in causes(watch.record(), Normal())
