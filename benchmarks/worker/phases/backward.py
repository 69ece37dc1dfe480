"""The backward pass: what gradients cost beyond a training-mode forward pass and loss.

Graph frameworks cannot time it alone, so every stack is timed by the same difference.
"""

from benchmarks.worker.phases._protocol import Session, Work

NEEDS_DATA = False


def prepare(session: Session) -> Work:
    """Forward, loss and gradients, less forward and loss."""
    session.program.set_training(training=True)
    return Work(
        run=lambda: session.program.gradients(session.batch),
        baseline=lambda: session.program.loss(session.batch),
        items=session.batch_size,
    )
