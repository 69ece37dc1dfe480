"""pytest-benchmark: a stored run, and a second one held against it."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.selfcheck.tools._outcome import Outcome, done, run

RULE = "--benchmark-compare-fail=median:5% against the run before"
TEST = """
import os
from benchmarks.selftest import work

def test_work(benchmark):
    benchmark(work.make(float(os.environ["SLOW"])))
"""
FAILED = 1


def compare(slow: float, folder: Path) -> Outcome:
    """Save A, then run B with the comparison that fails where the median is 5 % slower."""
    (folder / "test_work.py").write_text(TEST)
    (folder / "pytest.ini").write_text("[pytest]\n")
    common = ["-m", "pytest", "-q", "test_work.py", "--benchmark-storage=file://store"]
    done(run([*common, "--benchmark-save=a"], folder, {"SLOW": "0"}))
    gate = ["--benchmark-compare", "--benchmark-compare-fail=median:5%", "--benchmark-save=b"]
    second = run([*common, *gate], folder, {"SLOW": str(slow)})
    done(second, 0, FAILED)
    a, b = (_median(path) for path in sorted((folder / "store").rglob("*.json")))
    return Outcome(called=second.returncode == FAILED, ratio=b / a)


def _median(path: Path) -> float:
    (found,) = json.loads(path.read_text())["benchmarks"]
    return float(found["stats"]["median"])
