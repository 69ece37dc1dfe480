"""Inside a worker: some steps recorded by its framework, told in the common vocabulary."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from benchmarks import frameworks
from benchmarks.results.stored.codec import to_json
from benchmarks.worker.phases._protocol import Built, Work
from profilers import host
from profilers.ops import account
from profilers.ops.rows import Event

PRESSED = 20.0
"""Percent of the last ten seconds in which some task waited for a CPU."""


def ops(built: Built, work: Work, *, steps: int, events: bool, dumped: Path) -> dict[str, Any]:
    """What the steps are made of: an account, notes on what may be wrong with it, the events.

    Raises:
        ValueError: the profiler recorded no step.
    """
    if work.before:
        work.before()
    began_ns = list[int]()

    def step() -> None:
        began_ns.append(time.monotonic_ns())
        work.run()

    record = frameworks.part(built.recorder, "recorder").record
    recorded = record(built.device, built.program, step, steps, dumped)
    accounted = account.attribute(recorded)
    answer = {
        "account": to_json(accounted),
        "notes": _notes(accounted, built),
        "began_ns": began_ns[-steps],  # some recorders take a step of their own first
    }
    if events:
        answer["events"] = [_plain(event) for event in recorded.events]
    return answer


def _plain(event: Event) -> list[Any]:
    return [getattr(event, name) for name in Event.__slots__]


def _notes(accounted: account.Account, built: Built) -> list[str]:
    """What a reader must know before believing the rows."""
    notes = []
    pressure = host.cpu_pressure().value
    threads = built.device.settings().get("threads") or 1
    if pressure and pressure.avg10_percent > PRESSED and threads >= (os.cpu_count() or 1):
        notes.append(
            f"tasks waited for a CPU in {pressure.avg10_percent:.0f} % of the time:"
            " operations that wait for each other's threads look long"
        )
    if not accounted.rows:
        notes.append("the profiler recorded no operation")
    return notes
