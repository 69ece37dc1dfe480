"""What the twin of gpt2_small generates on an engine, for ``tests/test_generation.py``.

``python -m tests.generating ENGINE`` prints, as JSON and by the change to its ``next_token``, the
largest error of its logits with the cache against those without it, in float64.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from benchmarks import frameworks
from benchmarks.proof import compare
from benchmarks.request import discovery
from benchmarks.tasks.task import draw
from benchmarks.worker import sources

CHANGES = {"right": 0, "a place late": 1, "a place early": -1}


def shifted(function: Callable[..., Any], by: int) -> Callable[..., Any]:
    """A ``next_token`` that puts its token so many places behind where it belongs."""

    def next_token(model: Any, held: Mapping[str, Any]) -> dict[str, Any]:
        made = function(model, {**held, "position": held["position"] + by})
        return {**made, "position": held["position"] + 1}

    return next_token


def main(engine: str) -> None:
    """Generate with each change and print the errors."""
    inspection = frameworks.part(engine, "inspection")
    inspection.set_up(0)
    source = sources.load(sources.of_model("gpt2_small"), frameworks.facts(engine).dialect)
    source = replace(source, task=source.task.sized("quick"))
    restated: Callable[[], Any] = nullcontext
    if frameworks.facts(engine).dialect == "keras":
        from benchmarks.frameworks._keras.patches import restated
    twin = inspection.Twin(source, draw(source.task, 2, 0))
    found = {}
    for name, by in CHANGES.items():
        changed = {"next_token": shifted(source.generates["next_token"], by)}
        twin.source = replace(source, generates={**source.generates, **changed})
        with restated():
            made = twin._generated()  # a whole trace would take ten times as long
        found[name] = compare.compare(made, made, {}).errors[compare.CACHE]
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    assert discovery.defines("gpt2_small", "next_token")
    main(*sys.argv[1:])
