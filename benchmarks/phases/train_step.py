"""One training step: forward, loss, backward and update."""

from benchmarks.phases._protocol import Session, Work

NEEDS_DATA = False


def prepare(session: Session) -> Work:
    """Training steps on one batch that stays on the device.

    Weights go back to their start before each turn, so that no stack drifts into another range of
    numbers by having run more iterations.
    """
    session.adapter.set_training(session.model, training=True)
    return Work(
        run=lambda: session.adapter.train_step(session.model, session.batch),
        before=lambda: session.adapter.reset(session.model, session.weights),
        items=session.batch_size,
    )
