"""torch.utils.benchmark: two measurements one after the other in one process."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.selfcheck.tools._outcome import Outcome, done, run

RULE = "blocked_autorange; medians differ in the figures it calls significant"


def compare(slow: float, folder: Path) -> Outcome:
    """Both measurements in a process of their own, as its tutorial has them."""
    printed = done(run(["-m", __name__, str(slow)], folder))
    return Outcome(**json.loads(printed.splitlines()[-1]))


def main(slow: float) -> None:
    """Measure A, then B; print what came of it."""
    from torch.utils import benchmark
    from torch.utils.benchmark.utils.common import trim_sigfig

    from benchmarks.machine import environment
    from benchmarks.selfcheck import work

    threads = environment.usable_cores()
    measured = [
        benchmark.Timer(
            "run()", globals={"run": work.make(share)}, num_threads=threads
        ).blocked_autorange()
        for share in (0.0, slow)
    ]
    a, b = (trim_sigfig(m.median, m.significant_figures) for m in measured)
    ratio = measured[1].median / measured[0].median
    print(json.dumps({"called": a != b, "ratio": ratio}))  # noqa: T201 - for its parent


if __name__ == "__main__":
    main(float(sys.argv[1]))
