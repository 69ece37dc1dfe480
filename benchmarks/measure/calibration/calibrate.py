"""What a run must know of its machine before it starts, measured where it is not stored."""

from __future__ import annotations

from pathlib import Path

from benchmarks.machine import environment
from benchmarks.measure import session
from benchmarks.measure.calibration import ceilings, floor, tuning
from benchmarks.measure.progress import Listener
from benchmarks.request.plan import Plan


def prepare(made: Plan, out: Path, listener: Listener) -> session.Prepared:
    """A new run with its machine's A/A floor and ceilings, tuned where its policy asks for that.

    Raises:
        Locked: another run is using the device.
        SelectionError, UnknownNameError, DataError, JournalError: as ``conduct.prepare``.
    """
    made = tuning.settle(made, out, listener)
    settled = floor.settle(made, out, listener)
    ceiling = ceilings.settle(made, out, environment.usable_cores())
    return session.prepare(made.selection, out, settled, ceiling)
