"""The time per token: one more token of each sequence, with the cache that a prompt has filled."""

from benchmarks.worker.phases._protocol import Built, Work

NEEDS_DATA = False
NEEDS_TWIN = ("first_token", "next_token")


def prepare(built: Built) -> Work:
    """The twin's ``next_token`` of what ``first_token`` gave: the same place again and again."""
    built.program.set_training(training=False)
    held = built.program.first_token(built.batch)
    return Work(run=lambda: built.program.next_token(held), items=built.batch_size)
