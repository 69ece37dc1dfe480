"""Real runs as their journals told them, without what takes room: for tests of what a run tells.

``python -m tests.recorded RUN NAME`` keeps the run in that folder as ``journals/NAME.json.gz``.
"""

import gzip
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from benchmarks.measure.schedule import pace
from benchmarks.measure.session import JOURNAL, Event, Session
from benchmarks.measure.summary import assemble
from benchmarks.request import options, plan
from benchmarks.request.plan import Plan
from benchmarks.results.machine import Environment
from benchmarks.results.records import Run
from benchmarks.results.stored import journal
from benchmarks.results.stored.ledger import Ledger

FOLDER = Path(__file__).parent / "journals"
KINDS = ("run", "proving", "proof", "starting", "timing", "launch", "failure", "concluded", "end")
LEFT_OUT = ("turns", "warmup_s", "interference")


@dataclass
class Replay:
    """As much of a session as is asked by who tells of it; its clock is that of the journal."""

    plan: Plan
    header: Run
    ledger: Ledger = field(default_factory=Ledger)
    at_s: float = 0.0

    def __post_init__(self) -> None:
        """Time its parts by the journal's clock."""
        self.pace = pace.of(self.plan, self.now)

    def now(self) -> float:
        """Seconds since the first event of its turns."""
        return self.at_s

    @property
    def seconds(self) -> float:
        """The same: nothing else was spent."""
        return self.at_s

    def run(self) -> Run:
        """The run as far as it was told."""
        return assemble(self.plan, self.ledger, self.header)


def replayed(name: str) -> Iterator[tuple[Event, Session]]:
    """The events of a recorded run, each with the session as it was then."""
    entries = json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))
    begun, *rest = entries
    made = plan.make(options.from_stored(begun["selection"])).only(begun["cases"])
    made = Plan(selection=made.selection, effort=made.effort, groups=made.groups)
    header = Run(
        run_id=name, started="", seconds=0.0, exit=0, command=(), environment=Environment()
    )
    session, first = Replay(made, header), _at(rest[0])
    for entry in rest:
        session.at_s = _at(entry) - first
        data = {k: v for k, v in entry.items() if k not in {"kind", "at"}}
        session.ledger.add(entry)
        session.pace.told(entry["kind"], data)
        yield Event(entry["kind"], data), cast("Session", session)


def _at(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["at"]).timestamp()


def _short(entry: dict[str, Any]) -> dict[str, Any]:
    if entry["kind"] == "run":
        return {name: value for name, value in entry.items() if name != "header"}
    if entry["kind"] == "proof":
        return entry | {"parity": {"status": entry["parity"]["status"]}}
    if entry["kind"] != "launch":
        return entry
    empty: dict[str, Any] = {"warmup_s": [], "memory": {}, "learned": []}
    cases = {
        stack: {
            name: [float(f"{s:.4g}") for s in value] if name == "samples_s" else value
            for name, value in case.items()
            if name not in LEFT_OUT
        }
        | empty
        for stack, case in entry["cases"].items()
    }
    return entry | {"cases": cases}


if __name__ == "__main__":
    told, _ = journal.read(Path(sys.argv[1]) / JOURNAL)
    kept = [_short(entry) for entry in told if entry["kind"] in KINDS]
    FOLDER.mkdir(exist_ok=True)
    packed = gzip.compress(json.dumps(kept, separators=(",", ":")).encode(), mtime=0)
    (FOLDER / f"{sys.argv[2]}.json.gz").write_bytes(packed)
