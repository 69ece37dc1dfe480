"""What a run must know of its machine before its turns: each part is measured once, and kept."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.measure.calibration import tuning
from benchmarks.measure.session import Session
from benchmarks.results.machine import Ceiling, Floor, Tuned
from benchmarks.results.stored.codec import to_json


def calibrate(session: Session) -> None:
    """Settle what stacks are tuned to, the machine's A/A floor, and what its device can do at most.

    What is stored from an earlier run is read; what is in the journal already stays.

    Raises:
        KeyboardInterrupt: it was interrupted; what was measured before is kept.
    """
    known = session.ledger.calibrated
    if known.tuned is None:
        _record(session, "tuned", tuning.obtain(session))
    if known.floor is None:
        _record(session, "floor", session.means.floor(session))
    if known.ceiling is None:
        _record(session, "ceiling", session.means.ceiling(session))


def _record(session: Session, of: str, value: Floor | Ceiling | Iterable[Tuned]) -> None:
    session.record("calibrated", of=of, value=to_json(value))
