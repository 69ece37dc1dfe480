"""Predicting and evaluating change no array."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from benchmarks.audit.child import Bench, changed, few
from benchmarks.audit.rows import Row, plain

if TYPE_CHECKING:
    from benchmarks.audit.run import Audited

ORDER, LETTER = 2, "b"
TITLE = "weights, buffers, seeds and optimizer after predicting and evaluating"


def rows(on: Audited) -> Iterator[Row]:
    """One row; its reason names what changed."""
    yield on.asked("unchanged")


def inside(bench: Bench) -> dict[str, Any]:
    """Hashes of all arrays, before and after."""
    program = bench.built.program
    before = program.state()
    bench.outputs(2)
    with suppress(NotImplementedError):  # several objectives: there is no one loss
        program.evaluate(bench.built.batch)
    found = changed(before, program.state())
    reason = few(found) if found else f"{len(before)} arrays, by SHA-256"
    return plain("changes" if found else "same", reason=reason)
