"""What several tests share: a clock, whole runs in a second, and steady property tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.pipeline import Pipeline

# Before anything imports `benchmarks`, here and in all that is started from here.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # several tests share a machine's cores
os.environ["TWINBENCH_FRAMEWORKS_DIR"] = str(Path(__file__).parent / "frameworks")

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that take long: at the end, no process then waits for another."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


class FakeClock:
    """Seconds that pass only by ``advance``."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture(scope="session", autouse=True)
def own_scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder for temporary files and locks of these tests alone, and of all that they start.

    A run that measures on this machine, or the tests beside these, hold up none.
    """
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("scratch"))
        patch.setitem(os.environ, "TWINBENCH_LOCKS", folder)
        patch.setitem(os.environ, "TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture
def clock() -> FakeClock:
    """A clock at zero."""
    return FakeClock()


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pipeline:
    """Whole runs of the null adapter."""
    from tests.pipeline import Pipeline

    return Pipeline(monkeypatch, tmp_path)
