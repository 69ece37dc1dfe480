"""A run from its lock to its summary: calibrate, then measure; each event is on disk first."""

from __future__ import annotations

from benchmarks.measure import engine
from benchmarks.measure.calibration import ceilings, floor
from benchmarks.measure.calibration.calibrate import calibrate
from benchmarks.measure.engine import Profiler
from benchmarks.measure.means import Means
from benchmarks.measure.session import Listener, Prepared, opened
from benchmarks.results.records import Run

MEANS = Means(floor=floor.obtain, ceiling=ceilings.obtain)
"""What every run is carried out with, but for those of tests."""


def carry_out(
    prepared: Prepared, listener: Listener, profiler: Profiler | None, means: Means
) -> Run:
    """Measure what the journal lacks, and write run.json however it ends.

    ``profiler`` is needed where profiles were asked for.

    Raises:
        Locked: another run is using the device.
        JournalError: a file cannot be written; what was measured before is in the journal.
    """
    with opened(prepared, listener, means) as session:
        try:
            calibrate(session)
            session.begin()
            engine.measure(session, profiler)
        except KeyboardInterrupt:
            session.interrupted = True
        return session.finish()
