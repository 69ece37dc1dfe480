"""What the PyTorch twins of the shipped models tell of themselves, asked once for all tests.

As a program it describes all of them and writes that to stdout, as one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest

from benchmarks.frameworks.description import Description
from benchmarks.machine.environment import framework_status
from benchmarks.proof.costs import layers
from benchmarks.request import discovery
from benchmarks.results.records import LayerWork
from benchmarks.results.stored.codec import from_json

ROOT = Path(__file__).parent.parent
EFFORTS = ("quick", "standard")
LIMIT_S = 300.0


@cache
def _told() -> dict[str, Description]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.described"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    return {name: from_json(Description, told) for name, told in found.items()}


def told(model: str, effort: str = "standard") -> Description:
    """A shipped model at the size of an effort; skips where PyTorch is not installed."""
    missing = framework_status(("torch",))
    if missing:
        pytest.skip(missing)
    return _told()[f"{model}@{effort}"]


def work(model: str, effort: str = "standard") -> tuple[LayerWork, ...]:
    """The work of its layers."""
    return layers(told(model, effort))


def _script() -> None:
    from benchmarks.frameworks.torch.inspection import Twin, set_up
    from benchmarks.tasks.task import draw
    from benchmarks.worker import sources

    found = {}
    for model in discovery.names("models"):
        for effort in EFFORTS:
            set_up(0)
            task = discovery.task(model)
            shaped = task.at(task.size(effort).shapes)
            one = sources.load(sources.of_model(model), "torch")
            twin = Twin(one, draw(shaped, 1, 0))
            found[f"{model}@{effort}"] = asdict(twin.describe())
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    _script()
