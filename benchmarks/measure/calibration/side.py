"""A run that another needs: of a stack against itself, or of what a stack may be tuned to."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import engine
from benchmarks.measure.means import Means
from benchmarks.measure.session import Listener, Prepared, Session, check, opened, prepare, reopen
from benchmarks.request import plan
from benchmarks.request.selection import Selection, SelectionError
from benchmarks.results.machine import Floor
from benchmarks.results.records import Exit, Run
from benchmarks.results.stored.codec import to_json


def measured(
    chosen: Selection, out: Path, listener: Listener, means: Means, known: Floor | None = None
) -> Run:
    """Carry out a run by itself, without calibrating first; it is judged by the known floor.

    Raises:
        KeyboardInterrupt: it was interrupted.
        Locked: another run is using the device.
    """
    prepared = prepare(check(plan.make(chosen)), out)
    return _carry_out(prepared, listener, means, known=known, held=False)


def needed(session: Session, of: str, chosen: Selection, folder: str, why: str) -> Run:
    """Carry out a run that ``session`` needs, or finish the one that it began before.

    Args:
        session: the run that needs it; it holds the device.
        of: what it is needed for, the same word whenever the session is taken up.
        chosen: what is measured.
        folder: where it lies, below the folder of the runs: it is no part of their history.
        why: what a person is told.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    out, begun = session.out / folder, session.ledger.calibrating.get(of)
    prepared = _begun(out, begun, chosen) if begun else None
    prepared = prepared or prepare(check(plan.make(chosen)), out)
    session.record("calibrating", of=of, run=prepared.folder.name, why=why)
    beside = session.listener.beside()
    return _carry_out(prepared, beside, session.means, known=None, held=True)


def _begun(out: Path, run_id: str, chosen: Selection) -> Prepared | None:
    """A run that was begun before; ``None`` where it ended before its journal said what it was."""
    try:
        return reopen(out, run_id, chosen)
    except SelectionError:
        return None


def _carry_out(
    prepared: Prepared, listener: Listener, means: Means, *, known: Floor | None, held: bool
) -> Run:
    with opened(prepared, listener, means, held=held) as session:
        if known:
            session.record("calibrated", of="floor", value=to_json(known))
        try:
            session.begin()
            engine.measure(session)
        except KeyboardInterrupt:
            session.interrupted = True
        done = session.finish()
    if done.exit == Exit.INTERRUPTED:
        raise KeyboardInterrupt
    return done
