"""Everything before the first useful result: import, build, first training step with compilation.

There is nothing to repeat inside a process, so there is no work: a sample is the sum of the stamps
that each fresh worker takes while it starts, with an empty compiler cache.
"""

from benchmarks.worker.phases._protocol import Built, Work

NEEDS_DATA = False


def prepare(built: Built) -> Work:
    """Refuse: the stamps are taken at the start of the worker."""
    raise NotImplementedError("cold_start is measured by starting a worker, not by turns")
