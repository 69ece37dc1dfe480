"""The input pipeline alone: bytes in host memory become float batches on the device."""

from collections.abc import Iterator
from typing import Any

from benchmarks.worker.phases._protocol import Built, Work

NEEDS_DATA = True


def prepare(built: Built) -> Work:
    """One iteration is one batch; a finished pass over the data starts the next."""
    data = built.real_data()
    loader = built.device.batches(
        data.x_train, data.y_train, size=built.batch_size, scale=data.scale
    )

    def batches() -> Iterator[Any]:
        while True:
            yield from loader

    stream = batches()
    # Two prefetched batches came for free while other workers ran; two more refill the caches. A
    # loader that reads ahead hands out some at once, and then none for a while.
    return Work(run=lambda: next(stream), discard=4, bursts=True, items=built.batch_size)
