"""The search for the largest batch that fits: doubling, then bisection."""

from __future__ import annotations

from collections.abc import Callable

FINE = 32
"""The search ends when the next step would be less than this part of the batch: from there on the
answer changes from try to try, because memory is handed out in pages, blocks and arenas."""


def search(fits: Callable[[int], bool], start: int, most: int | None = None) -> int | None:
    """The largest batch that was tried and fits; ``None`` where not even 1 does.

    What fits need not fit tomorrow, nor need everything smaller: all that is promised is that the
    answer did fit, and that a batch at most 1/32 larger (or the next) did not, or would be more
    than ``most``.

    Args:
        fits: tries a batch; each is asked for at most once.
        start: the first try; too large a one is halved.
        most: the largest batch to try.
    """
    batch = max(1, min(start, most or start))
    if fits(batch):
        good, bad = _up(fits, batch, most)
    else:
        found = _down(fits, batch)
        if found is None:
            return None
        good, bad = found
    while bad is not None and bad - good > max(1, good // FINE):
        middle = (good + bad) // 2
        if fits(middle):
            good = middle
        else:
            bad = middle
    return good


def _up(fits: Callable[[int], bool], good: int, most: int | None) -> tuple[int, int | None]:
    """The last that fits of a doubling, and the first that does not."""
    while most is None or good < most:
        larger = 2 * good if most is None else min(2 * good, most)
        if not fits(larger):
            return good, larger
        good = larger
    return good, None


def _down(fits: Callable[[int], bool], bad: int) -> tuple[int, int] | None:
    while bad > 1:
        smaller = bad // 2
        if fits(smaller):
            return smaller, bad
        bad = smaller
    return None
