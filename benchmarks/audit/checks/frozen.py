"""A step of fine-tuning leaves a frozen base as it was, statistics included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from benchmarks.audit.child import Bench, changed, few
from benchmarks.audit.rows import Row, plain

if TYPE_CHECKING:
    from benchmarks.audit.run import Audited

# Last of those in one worker: what is trained is set, and set back.
ORDER, LETTER = 9, "c"
TITLE = "a frozen base after one step of its head"


def rows(on: Audited) -> Iterator[Row]:
    """The base frozen as the framework's guide says, and by the flag of what is trained alone."""
    yield on.asked("frozen", whole=True)
    yield on.asked("frozen", row="frozen by the flag alone", whole=False)


def inside(bench: Bench, *, whole: bool) -> dict[str, Any]:
    """Hashes of the base, before and after."""
    program = bench.built.program
    program.reset()
    before, after = program.tune(bench.built.batch, whole=whole)
    program.reset()
    found = changed(before, after)
    reason = f"moved: {few(found)}" if found else f"{len(before)} arrays of the base, by SHA-256"
    return plain("changes" if found else "same", reason=reason)
