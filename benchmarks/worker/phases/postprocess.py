"""What follows the network of a detector: boxes decoded, the overlapping ones dropped.

``forward`` has the network alone.
"""

from benchmarks.worker.phases._protocol import Built, Work

NEEDS_DATA = False
NEEDS_TWIN = ("postprocess",)


def prepare(built: Built) -> Work:
    """The twin's ``postprocess`` of the outputs of one inference pass, which stay on the device."""
    built.program.set_training(training=False)
    outputs = built.program.infer(built.batch)
    return Work(run=lambda: built.program.postprocess(outputs), items=built.batch_size)
