"""asv: its own timer in two rounds of processes, and the test of `asv compare`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.selfcheck.tools._outcome import Outcome, done, run

RULE = "2 rounds of processes; asv compare: Mann-Whitney p < 0.002 and a factor of 1.1"
ROUNDS, FACTOR = 2, 1.1


def compare(slow: float, folder: Path) -> Outcome:
    """A and B in turn, each round in a process of its own; then what `asv compare` asks."""
    samples: dict[float, list[float]] = {0.0: [], 1.0: []}
    for _ in range(ROUNDS):
        for side, share in ((0.0, 0.0), (1.0, slow)):
            samples[side] += json.loads(done(run(["-m", __name__, str(share)], folder)))
    told = json.loads(
        done(run(["-m", __name__, "judge"], folder, {"SAMPLES": json.dumps([*samples.values()])}))
    )
    return Outcome(**told)


def measure(share: float) -> None:
    """Print the samples that asv's own timer takes."""
    from asv_runner.benchmarks.time import TimeBenchmark

    from benchmarks.selfcheck import work

    print(json.dumps(TimeBenchmark("time_work", work.make(share), [{}]).run()["samples"]))  # noqa: T201 - for its parent


def judge(a: list[float], b: list[float]) -> None:
    """Print what `asv compare` makes of two sets of samples with its default factor."""
    from asv import _stats
    from asv_runner.statistics import compute_stats

    stats = [compute_stats(samples, 1) for samples in (a, b)]
    ratio = stats[1][0] / stats[0][0]
    differ = _stats.is_different(a, b, stats[0][1], stats[1][1])
    print(json.dumps({"called": bool(differ and max(ratio, 1 / ratio) > FACTOR), "ratio": ratio}))  # noqa: T201 - for its parent


if __name__ == "__main__":
    import os

    if sys.argv[1] == "judge":
        judge(*json.loads(os.environ["SAMPLES"]))
    else:
        measure(float(sys.argv[1]))
