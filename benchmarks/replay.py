"""The bridge to pytest-benchmark: measured samples go into its store through its documented API.

A clock that stands still between rounds makes the time of each round exactly one sample, so that
`pytest-benchmark compare` and `--benchmark-compare-fail` work on numbers it could not have measured
itself: interleaved, isolated, paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.results.records import Case, MatchupResult, Run
from benchmarks.results.stored.codec import to_json


class ReplayClock:
    """Virtual seconds; reset before each round, so that none is lost to rounding."""

    __name__ = "replay_clock"  # stored as the name of the timer

    def __init__(self) -> None:
        self.time_s = 0.0

    def __call__(self) -> float:
        """The virtual time, seconds."""
        return self.time_s


CLOCK = ReplayClock()


def replay(benchmark: BenchmarkFixture, samples_s: Sequence[float]) -> None:
    """Feed samples, seconds per iteration in launch and round order, one per round."""
    remaining = iter(samples_s)

    def setup() -> None:
        CLOCK.time_s = 0.0

    def target() -> None:
        # With --benchmark-disable or cProfile there is one call more than there are samples.
        CLOCK.time_s += next(remaining, 0.0)

    benchmark.pedantic(target, setup=setup, rounds=len(samples_s), iterations=1)  # type: ignore[no-untyped-call]  # pytest-benchmark is not typed


@dataclass(frozen=True, slots=True)
class Measured:
    """What the run made of the selected cases."""

    run: Run
    folder: Path

    def find(self, case_id: str) -> tuple[MatchupResult, Case]:
        """A case and its matchup.

        Raises:
            KeyError: the run holds no such case.
        """
        for result in self.run.matchups:
            for case in result.cases:
                if case.id == case_id:
                    return result, case
        raise KeyError(case_id)


def extra_info(run: Run, result: MatchupResult, case: Case) -> dict[str, Any]:
    """What a stored case carries beside its samples: proof, verdicts, memory, where it was made."""
    parity = result.parity
    return {
        "case": case.id,
        "run": run.run_id,
        "fingerprint": run.environment.fingerprint,
        "parity": parity.status if parity else None,
        "parity_errors": to_json(parity.max_rel_error) if parity else {},
        "verdicts": [to_json(v) for v in result.verdicts if case.stack in {v.a, v.b}],
        "launches": len(case.launches),
        "memory": to_json(case.memory),
        "learned": to_json(case.learned),
        "versions": run.environment.versions,
    }
