"""Inference: one batch in, logits out."""

from benchmarks.worker.phases._protocol import Session, Work

NEEDS_DATA = False


def prepare(session: Session) -> Work:
    """Forward passes over one batch that stays on the device."""
    session.program.set_training(training=False)
    return Work(run=lambda: session.program.infer(session.batch), items=session.batch_size)
