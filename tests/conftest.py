"""What several tests share: a clock that only moves when told to, and steady property tests."""

import pytest

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
