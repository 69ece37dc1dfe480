"""The time to the first token: a prompt goes through the model and fills a cache.

A sequence's first half is the prompt, and the cache has a place for every token of the sequence.
"""

from benchmarks.worker.phases._protocol import Built, Work

NEEDS_DATA = False
NEEDS_TWIN = ("first_token", "next_token")


def prepare(built: Built) -> Work:
    """The twin's ``first_token`` of one batch that stays on the device."""
    built.program.set_training(training=False)
    return Work(run=lambda: built.program.first_token(built.batch), items=built.batch_size)
