"""What the device can do at most, and the clock held against it: the faster must be an error.

A stack that appears to compute faster than the fastest matrix product of any framework here did not
do the work, or was not waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

TRIES = 5
AGAIN = 3
COPIED = 1 << 26
"""Numbers in a copy: more than any cache holds."""
LONG = 4
"""A queue of so many products must take this many times as long as one,"""
GROWTH = 0.5
"""at least by this share: else the clock did not wait for the device."""
WINOGRAD = 2.25
"""Multiplications that a 3x3 convolution can save (Winograd 1980; Lavin and Gray 2016, F(2x2))."""
FALL = 1.5
"""A larger batch may take so many times less before it is doubted: a few iterations are noisy."""
SLACK = 1.2
"""The ceiling is itself a measurement, and a machine may have been busier then."""


class ImplausibleError(ValueError):
    """The clock cannot be trusted on this device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The fastest that was seen: a product of two matrices, and a copy (bytes read and written)."""

    flops_per_s: float
    bytes_per_s: float


def measure(
    product: Callable[[], object],
    copy: Callable[[], object],
    synchronize: Callable[[], object],
    now: Callable[[], float],
    *,
    size: int,
    copied_bytes: int,
) -> Ceiling:
    """The best of several tries, after the clock has been tried on a known long piece of work.

    Raises:
        ImplausibleError: several products took hardly longer than one.
    """

    def best(run: Callable[[], object], times: int) -> float:
        taken = []
        for _ in range(TRIES):
            synchronize()
            began = now()
            for _ in range(times):
                run()
            synchronize()
            taken.append(now() - began)
        return min(taken)

    best(product, 1)  # the first ones allocate, trace and tune
    one_s, long_s = best(product, 1), best(product, LONG)
    for _ in range(AGAIN):  # a disturbed product looks like a clock that does not wait
        if long_s >= GROWTH * LONG * one_s:
            break
        one_s = min(one_s, best(product, 1))
    if not one_s > 0 or long_s < GROWTH * LONG * one_s:
        raise ImplausibleError(
            f"{LONG} matrix products took {long_s:.2g} s and one took {one_s:.2g} s:"
            " the clock does not wait for the device"
        )
    return Ceiling(
        flops_per_s=2 * size**3 / min(one_s, long_s / LONG),
        bytes_per_s=2 * copied_bytes / best(copy, 1),
    )


def obstacle(flops: float | None, fastest_s: float, most: float | None) -> str | None:
    """Why a time cannot be, or ``None``.

    Args:
        flops: of one iteration; ``None`` where they are not counted.
        fastest_s: the shortest sample, seconds.
        most: FLOP/s that this device reached; ``None`` where it was not measured.
    """
    if not flops or not most or flops / fastest_s <= WINOGRAD * SLACK * most:
        return None
    return (
        f"implausible: {flops / fastest_s / 1e9:.3g} GFLOP/s, but this device was never seen to"
        f" reach more than {most / 1e9:.3g} in a matrix product"
    )


def falling(times: Iterable[tuple[int, float]]) -> list[str]:
    """Where a larger batch takes clearly less time than a smaller one: who skipped the work?

    Args:
        times: batch and seconds per iteration, in any order. Equal times are none of this: a device
            that a batch does not fill takes as long for more of it.
    """
    found = []
    ordered = sorted(times)
    for (small, before_s), (large, after_s) in pairwise(ordered):
        if large > small and after_s * FALL < before_s:
            found.append(
                f"implausible: a batch of {large} takes {after_s:.3g} s, one of {small} took"
                f" {before_s:.3g} s"
            )
    return found
