"""The operations of several stacks on one time axis, in a file that Perfetto opens."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console

from benchmarks.results.records import Exit, Stack
from benchmarks.results.stored import journal
from benchmarks.why._shared.command import emit
from benchmarks.why._shared.files import folder_of
from benchmarks.why._shared.profiling import with_events
from benchmarks.why._shared.subjects import Subject
from benchmarks.worker.process import WorkerError
from profilers import trace
from profilers.ops.rows import Event

HELP = "one Perfetto trace of all stacks, aligned at step 0"
FILE = "trace.json"
STEPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What became of a stack: its events, or the reason why there are none.

    ``wall_s`` is the mean step while it was profiled, seconds.
    """

    stack: str
    reason: str | None = None
    steps: int | None = None
    wall_s: float | None = None
    events: tuple[Event, ...] = ()
    counters: trace.Series = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As data; the events themselves are in the file."""
        kept = {k: v for k, v in asdict(self).items() if k not in {"events", "counters"}}
        told = {"events": len(self.events), "tracks": _count(self.events)}
        return kept | told | {"counters": list(self.counters)}


def arguments(parser: argparse.ArgumentParser) -> None:
    """This command has no flags of its own."""


def main(subject: Subject, asked: argparse.Namespace, console: Console) -> int:
    """Ask each stack in turn and write one file; a stack that fails costs itself alone."""
    recorded = [Recorded(stack=str(s), reason=why) for s, why in subject.lacking.items()]
    for stack in subject.stacks:
        found = _recorded(subject, stack)
        console.print(_told(found))
        recorded.append(found)
    good = {r.stack: trace.StackTrace(r.events, r.counters) for r in recorded if r.reason is None}
    path = folder_of(subject, asked.out) / FILE if good else None
    if path:
        journal.store(path, json.dumps(trace.document(good), separators=(",", ":")))
    if asked.json:
        document = {
            "model": subject.group.model,
            "phase": subject.matchup.phase,
            "matchup": subject.matchup.id,
            "stacks": [r.record() for r in recorded],
            "file": str(path) if path else None,
        }
        emit(document)
    elif path:
        sys.stdout.write(f"{path}\n")
    return Exit.OK if len(good) == len(recorded) else Exit.INCOMPLETE


def _recorded(subject: Subject, stack: Stack) -> Recorded:
    try:
        profile = with_events(subject, stack, steps=STEPS)
    except WorkerError as error:
        return Recorded(stack=str(stack), reason=f"{error.status}: {error.reason}")
    if not profile.events:
        reason = "; ".join(profile.notes) or "the profiler recorded no operation"
        return Recorded(stack=str(stack), reason=reason)
    account = profile.account
    return Recorded(
        stack=str(stack),
        steps=account.steps,
        wall_s=account.wall_s,
        events=profile.events,
        counters=profile.counters,
    )


def _count(events: Sequence[Event]) -> int:
    return sum(map(len, trace.tracks(events).values()))


def _told(found: Recorded) -> str:
    if found.reason:
        return f"{found.stack}: no trace: {found.reason}"
    events, tracks = len(found.events), _count(found.events)
    counters = f", {len(found.counters)} counters" if found.counters else ""
    return f"{found.stack}: {events} events of {found.steps} steps on {tracks} tracks{counters}"
