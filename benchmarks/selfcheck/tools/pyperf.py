"""pyperf: twenty fresh processes for each side, and a t-test."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from benchmarks.selfcheck.tools._outcome import Outcome, done, run

RULE = "20 processes each; compare_to calls it significant"


def compare(slow: float, folder: Path) -> Outcome:
    """`bench_func` for each side, then `compare_to`."""
    for name, share in (("a", 0.0), ("b", slow)):
        keep = "--inherit-environ=PYTHONPATH,SLOW"
        command = [__file__, "-q", keep, "-o", f"{name}.json"]
        done(run(command, folder, {"SLOW": str(share)}))
    said = done(run(["-m", "pyperf", "compare_to", "a.json", "b.json"], folder))
    a, b = (_mean(folder / f"{name}.json") for name in "ab")
    return Outcome(called="not significant" not in said.lower(), ratio=b / a)


def _mean(path: Path) -> float:
    runs = json.loads(path.read_text())["benchmarks"][0]["runs"]
    values = [value for made in runs for value in made.get("values", ())]
    return float(sum(values) / len(values))


def main() -> None:
    """What pyperf runs again in each of its processes."""
    sys.path.remove(str(Path(__file__).parent))  # or this file would be what is imported
    import pyperf

    from benchmarks.selfcheck import work

    runner = pyperf.Runner()
    share = float(os.environ["SLOW"])
    runner.bench_func("work", work.make(share) if runner.parse_args().worker else print)


if __name__ == "__main__":
    main()
