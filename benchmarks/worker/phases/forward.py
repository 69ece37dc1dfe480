"""Inference: one batch in, logits out."""

from benchmarks.worker.phases._protocol import Built, Work

NEEDS_DATA = False


def prepare(built: Built) -> Work:
    """Forward passes over one batch that stays on the device."""
    built.program.set_training(training=False)
    return Work(run=lambda: built.program.infer(built.batch), items=built.batch_size)
