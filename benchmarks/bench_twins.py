"""The pytest-benchmark cases: each replays what a run measured into the stock store.

Collected only from here: ``pytest benchmarks``.
"""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.replay import CLOCK, Measured, extra_info, replay
from benchmarks.results.wording import case_words


@pytest.mark.benchmark(timer=CLOCK)
def test_case(request: pytest.FixtureRequest, case_id: str, measured: Measured) -> None:
    """One stack in one matchup."""
    result, case = measured.find(case_id)
    if case.status == "unsupported":
        pytest.skip(case.reason or case.status)
    if case.status != "ok":
        # Before the replay: pytest-benchmark would store the samples of a test that fails later.
        pytest.fail(case_words(case), pytrace=False)
    # Asked for only now: pytest-benchmark complains of a fixture that a test did not use.
    benchmark: BenchmarkFixture = request.getfixturevalue("benchmark")
    benchmark.group = result.matchup.id
    replay(benchmark, case.samples_s)
    benchmark.extra_info.update(extra_info(measured.run, result, case))
