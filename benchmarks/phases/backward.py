"""The backward pass: what gradients cost beyond a training-mode forward pass and loss.

Graph frameworks cannot time it alone, so every stack is timed by the same difference.
"""

from benchmarks.phases._protocol import Session, Work

NEEDS_DATA = False


def prepare(session: Session) -> Work:
    """Forward, loss and gradients, less forward and loss."""
    session.adapter.set_training(session.model, training=True)
    return Work(
        run=lambda: session.adapter.backward(session.model, session.batch),
        baseline=lambda: session.adapter.loss(session.model, session.batch),
        items=session.batch_size,
    )
