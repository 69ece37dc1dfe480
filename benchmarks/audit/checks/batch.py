"""One sample alone gives what it gives among others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from benchmarks.audit.child import Bench, difference
from benchmarks.audit.rows import Row, judged, plain

if TYPE_CHECKING:
    from benchmarks.audit.run import Audited

ORDER, LETTER = 1, "a"
TITLE = "one sample alone and in larger batches"
SIZES = (2, 3, 8, 32)


def rows(on: Audited) -> Iterator[Row]:
    """One row, of the batch that differs most."""
    yield on.asked("batch", bound=on.bound)


def inside(bench: Bench, *, bound: float) -> dict[str, Any]:
    """The first sample alone against the same one in batches of ``SIZES``."""
    alone = bench.outputs(1)
    found = {}
    for size in SIZES:
        held = bench.outputs(size)
        if any(one.ndim == 0 or len(one) != size for one in held.values()):
            return plain("unsupported", reason="an output has no axis of samples")
        found[size] = difference({name: one[:1] for name, one in held.items()}, alone)
    worst = max(found, key=lambda size: found[size])
    word = judged(found[worst], bound)
    exact = [str(size) for size, error in found.items() if error == 0]
    told = f"most in a batch of {worst}; bit-equal in batches of {', '.join(exact) or 'none'}"
    return plain(word, found[worst], "" if word == "same" else told)
