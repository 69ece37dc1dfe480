"""What several tests share: a clock, whole runs in a second, and steady property tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.pipeline import Pipeline

# `pytest-benchmark compare` loads this file too, where only what a bench needs is installed.
try:
    from hypothesis import settings
except ModuleNotFoundError:
    pass
else:
    settings.register_profile(
        "suite",
        deadline=None,  # a busy machine is slow, not wrong
        derandomize=True,  # the same examples for everyone
        database=None,
    )
    settings.load_profile("suite")


class FakeClock:
    """Seconds that pass only by ``advance``."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock() -> FakeClock:
    """A clock at zero."""
    return FakeClock()


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pipeline:
    """Whole runs of the null adapter."""
    from tests.pipeline import Pipeline

    return Pipeline(monkeypatch, tmp_path)
