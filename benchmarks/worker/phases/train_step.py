"""One training step: forward, loss, backward and update."""

from benchmarks.worker.phases._protocol import Session, Work

NEEDS_DATA = False


def prepare(session: Session) -> Work:
    """Training steps on one batch that stays on the device.

    Weights go back to their start before each turn, so that no stack drifts into another range of
    numbers by having run more iterations.
    """
    session.program.set_training(training=True)
    return Work(
        run=lambda: session.program.step(session.batch),
        before=session.program.reset,
        items=session.batch_size,
    )
