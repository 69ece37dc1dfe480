"""What a run must know of its machine before its turns: each part is measured once, and kept."""

from __future__ import annotations

from typing import Any

from benchmarks.measure.calibration import ceilings, floor, tuning
from benchmarks.measure.session import Session
from benchmarks.results.records import to_json


def calibrate(session: Session) -> None:
    """Settle what stacks are tuned to, the machine's A/A floor, and what its device can do at most.

    What is stored from an earlier run is read; what is in the journal already stays.

    Raises:
        KeyboardInterrupt: it was interrupted; what was measured before is kept.
    """
    known = session.ledger.calibrated
    if "tuned" not in known:
        _settled(session, "tuned", [to_json(one) for one in tuning.settle(session)])
    if "floor" not in known:
        _settled(session, "floor", floor.settle(session))
    if "ceiling" not in known:
        _settled(session, "ceiling", ceilings.settle(session.plan, session.out, session.threads))


def _settled(session: Session, of: str, value: Any) -> None:
    session.record("calibrated", of=of, value=value)
