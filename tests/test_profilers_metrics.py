"""Figures are made of enough readings or not at all, and what is missing has its reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilers.metrics import (
    ENERGY_S,
    GPM_PAIRS,
    UTILISATION_S,
    Capability,
    Metric,
    Point,
    Window,
    growth,
    summary,
)
from profilers.probes._protocol import metrics

SECOND = 1_000_000_000
HERE = Capability()


def points(*values: float, step_s: float = 1.0) -> list[Point]:
    return [Point(round(i * step_s * SECOND), value) for i, value in enumerate(values)]


def window(began_s: float, ended_s: float) -> Window:
    return Window(round(began_s * SECOND), round(ended_s * SECOND))


def metric(name: str) -> Metric:
    return metrics()[name]


def test_a_gauge_is_weighted_by_time_and_not_by_readings() -> None:
    crowded = [Point(0, 0.0), Point(10 * SECOND, 0.0), Point(10 * SECOND + 1, 100.0)]
    found = summary(metric("cpu.rss_bytes"), HERE, crowded, [window(0, 11)])
    assert found["mean"] < 1e-6
    assert (found["p50"], found["min"], found["max"]) == (0, 0, 100)


def test_a_counter_is_its_difference_summed_over_windows() -> None:
    grows = points(5, 6, 8, 100, 101)
    found = summary(metric("cpu.major_faults"), HERE, grows, [window(0, 2), window(3, 4)])
    assert found == {"value": 4}


def test_a_rate_is_its_difference_per_second_of_the_windows() -> None:
    grows = points(0.0, 1.5, 3.0, 100.0, 101.5)
    found = summary(metric("cpu.cores_used"), HERE, grows, [window(0, 2), window(3, 4)])
    assert found == {"value": 1.5}


def test_a_counter_that_goes_backwards_gives_no_figure() -> None:
    found = summary(metric("gpu.energy_j"), HERE, points(1, 2, 9, 0, 1, 2, 3), [window(0, 6)])
    assert found == {"value": None, "reason": "the counter went backwards"}


@pytest.mark.parametrize(
    ("name", "enough_s", "words"),
    [
        ("gpu.kernel_resident_pct", UTILISATION_S, "window 2.9 s < 3 s"),
        ("gpu.energy_j", ENERGY_S, "window 4.9 s < 5 s"),
        ("gpu.power_w", ENERGY_S, "window 4.9 s < 5 s"),
        ("env.cpu_energy_j", ENERGY_S, "window 4.9 s < 5 s"),
    ],
)
def test_a_window_that_is_too_short_gives_the_reason(
    name: str, enough_s: float, words: str
) -> None:
    readings = points(*range(200), step_s=0.1)
    assert summary(metric(name), HERE, readings, [window(0, enough_s - 0.1)]) == {
        "value": None,
        "reason": words,
    }
    sufficing = summary(metric(name), HERE, readings, [window(0, enough_s)])
    assert "reason" not in sufficing
    assert sufficing.get("value", sufficing.get("mean")) is not None


def test_short_windows_do_not_add_up_to_a_long_one() -> None:
    many = [window(i, i + 1) for i in range(0, 20, 2)]
    found = summary(metric("gpu.energy_j"), HERE, points(*range(200), step_s=0.1), many)
    assert found == {"value": None, "reason": "window 1.0 s < 5 s"}


def test_a_short_window_beside_a_long_one_does_not_count() -> None:
    readings = points(*range(200), step_s=0.1)
    found = summary(metric("gpu.energy_j"), HERE, readings, [window(0, 6), window(8, 9)])
    assert found == {"value": 60, "seconds": 6}


def test_gpm_needs_its_pairs() -> None:
    readings = points(*[50.0] * 9)
    found = summary(metric("gpu.sm_active_pct"), HERE, readings, [window(-1, 100)])
    assert found == {"value": None, "reason": f"9 readings < {GPM_PAIRS}"}
    more = summary(metric("gpu.sm_active_pct"), HERE, points(*[50.0] * 10), [window(-1, 100)])
    assert more["mean"] == 50


def test_a_reading_of_the_time_before_is_none_of_the_window() -> None:
    share = Metric(name="gpu.x_pct", kind="gauge", meaning="x", since=True)
    found = summary(share, HERE, points(0, 50, 70, 0, 90), [window(0, 2), window(3, 4)])
    assert (found["min"], found["max"]) == (50, 90)


def test_what_cannot_be_had_says_why_before_anything_else() -> None:
    lacking = Capability("no RAPL")
    found = summary(metric("env.cpu_energy_j"), lacking, points(1, 2), [window(0, 1)])
    assert found == {"value": None, "reason": "no RAPL"}


def test_a_series_that_ended_keeps_what_suffices_and_its_reason() -> None:
    readings, lost = points(*range(7)), "NVMLError_GpuIsLost (15): GPU is lost"
    found = summary(metric("gpu.energy_j"), HERE, readings, [window(0, 60)], lost)
    assert found == {"value": 6, "reason": lost}
    cut = summary(metric("gpu.energy_j"), HERE, readings[:3], [window(0, 60)], lost)
    assert cut == {"value": None, "reason": f"window 2.0 s < 5 s: {lost}"}
    after = summary(metric("gpu.energy_j"), HERE, readings, [window(50, 60)], lost)
    assert after == {"value": None, "reason": lost}


def test_flags_are_those_seen_at_any_time_and_how_it_was_read_is_noted() -> None:
    readings = points(0x1, 0x4, 0x1)
    found = summary(metric("gpu.clock_events"), HERE, readings, [window(0, 5)])
    assert found == {"value": ["idle", "software power cap"]}
    noted = summary(
        metric("gpu.power_w"), Capability(note="instantaneous"), points(*[9] * 9), [window(0, 9)]
    )
    assert noted["note"] == "instantaneous"


def test_a_peak_is_the_largest_and_an_edge_keeps_both_ends() -> None:
    assert summary(metric("cpu.peak_rss_bytes"), HERE, points(5, 9), [window(0, 1)]) == {"value": 9}
    ends = summary(metric("gpu.process_memory_bytes"), HERE, points(5, 9), [window(0, 1)])
    assert ends == {"value": 9, "start": 5}


def test_one_reading_makes_no_counter() -> None:
    found = summary(metric("cpu.major_faults"), HERE, points(5), [window(0, 1)])
    assert found == {"value": None, "reason": "a counter needs two readings"}


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=30))
def test_growth_is_had_where_nothing_falls(values: list[int]) -> None:
    grown = growth(points(*values))
    if values == sorted(values):
        assert grown.value == values[-1] - values[0]
    else:
        assert grown.value is None
        assert grown.reason


def test_every_metric_has_a_name_of_its_own_with_its_source() -> None:
    assert all(name.split(".")[0] in {"cpu", "gpu", "env"} for name in metrics())
    assert len({m.meaning for m in metrics().values()}) == len(metrics())
