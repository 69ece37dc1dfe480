"""One training step: forward, loss, backward and update."""

from benchmarks.worker.phases._protocol import Built, Work

NEEDS_DATA = False


def prepare(built: Built) -> Work:
    """Training steps on one batch that stays on the device.

    Weights go back to their start before each turn, so that no stack drifts into another range of
    numbers by having run more iterations.
    """
    built.program.set_training(training=True)
    return Work(
        run=lambda: built.program.step(built.batch),
        before=built.program.reset,
        items=built.batch_size,
    )
