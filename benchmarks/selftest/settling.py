"""What a run must know of its machine before it starts, measured where it is not stored."""

from __future__ import annotations

from pathlib import Path

from benchmarks import ceilings, conduct, environment, tuning
from benchmarks.plan import Plan
from benchmarks.progress import Listener
from benchmarks.selftest import floor


def prepare(made: Plan, out: Path, listener: Listener) -> conduct.Prepared:
    """A new run with its machine's A/A floor and ceilings, tuned where its policy asks for that.

    Raises:
        Locked: another run is using the device.
        SelectionError, UnknownNameError, DataError, JournalError: as ``conduct.prepare``.
    """
    made = tuning.settle(made, out, listener)
    settled = floor.settle(made, out, listener)
    ceiling = ceilings.settle(made, out, environment.usable_cores())
    return conduct.prepare(made.selection, out, settled, ceiling)
