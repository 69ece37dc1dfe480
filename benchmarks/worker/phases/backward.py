"""The backward pass: what gradients cost beyond a training-mode forward pass and loss.

Graph frameworks cannot time it alone, so every stack is timed by the same difference.
"""

from benchmarks.worker.phases._protocol import Built, Work

NEEDS_DATA = False


def prepare(built: Built) -> Work:
    """Forward, loss and gradients, less forward and loss."""
    built.program.set_training(training=True)
    return Work(
        run=lambda: built.program.gradients(built.batch),
        baseline=lambda: built.program.loss(built.batch),
        items=built.batch_size,
    )
