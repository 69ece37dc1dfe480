"""The detector of change points, on histories whose truth is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from reports.trends.changes import MIN_SEGMENT, change_points

COUNT, POINTS, NOISE = 200, 60, 0.02
Series = NDArray[np.float64]


def noise(seed: int, *, outliers: float = 0.0) -> Series:
    """Histories of 2 % noise; some points of them lie 10 to 30 % higher."""
    rng = np.random.default_rng(seed)
    series = rng.normal(0, NOISE, (COUNT, POINTS))
    struck = rng.random(series.shape) < outliers
    return series + struck * rng.uniform(0.1, 0.3, series.shape)


def step(series: Series, points: int, size: float) -> Series:
    """The same with the last points on a new level."""
    moved = series.copy()
    moved[:, -points:] += np.log1p(size)
    return moved


def share(histories: Series) -> float:
    """In how many histories a change was found."""
    return sum(bool(change_points(series.tolist())) for series in histories) / COUNT


def located(histories: Series, at: int) -> float:
    """In how many histories a change was found, at most one run from where it is."""
    found = (change_points(series.tolist()) for series in histories)
    return sum(any(abs(c.at - at) <= 1 for c in changes) for changes in found) / COUNT


def test_noise_alone_is_no_change() -> None:
    assert share(noise(1)) <= 0.05


def test_outliers_are_no_change() -> None:
    assert share(noise(2, outliers=0.05)) <= 0.10


@pytest.mark.parametrize("outliers", [0.0, 0.05])
def test_five_percent_are_found_after_ten_runs(outliers: float) -> None:
    assert located(step(noise(3, outliers=outliers), 10, 0.05), POINTS - 10) >= 0.75


@pytest.mark.parametrize("outliers", [0.0, 0.05])
def test_five_percent_are_found_after_five_runs_in_most(outliers: float) -> None:
    assert share(step(noise(4, outliers=outliers), 5, 0.05)) >= 0.5


@pytest.mark.parametrize("size", [0.10, 0.50, 3.0])
@pytest.mark.parametrize("outliers", [0.0, 0.05])
def test_ten_percent_and_more_are_found_after_three_runs(outliers: float, size: float) -> None:
    assert located(step(noise(5, outliers=outliers), 3, size), POINTS - 3) >= 0.8


def test_a_bump_has_two_edges_and_their_sizes() -> None:
    series = noise(6)
    series[:, 25:35] += np.log1p(0.2)
    right = 0
    for one in series:
        changes = change_points(one.tolist())
        near = [abs(c.at - at) <= 1 for c, at in zip(changes, (25, 35), strict=False)]
        sizes = [c.log for c in changes]
        right += len(changes) == 2 and all(near) and sizes[0] > 0.12 and sizes[1] < -0.12
    assert right / COUNT >= 0.9


def test_a_clean_step_is_found_exactly() -> None:
    (found,) = change_points([0.0] * 5 + [0.1] * 5)
    assert found.at == 5
    assert found.log == pytest.approx(0.1)


def test_a_step_within_the_margin_does_not_count() -> None:
    series = [0.0] * 5 + [0.015] * 5
    assert change_points(series) == ()
    assert change_points(series, margin=0.01) != ()


@pytest.mark.parametrize("count", range(2 * MIN_SEGMENT))
def test_a_short_history_has_no_change(count: int) -> None:
    assert change_points([0.0, 0.0, 0.0, 1.0, 1.0][:count]) == ()
