"""What is saved and loaded computes the same."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.audit.child import Bench, difference
from benchmarks.audit.rows import Row, plain

if TYPE_CHECKING:
    from benchmarks.audit.run import Audited

ORDER, LETTER = 5, "e"
TITLE = "saved, and loaded into a model with other weights"


def rows(on: Audited) -> Iterator[Row]:
    """One row."""
    yield on.asked("saved")


def inside(bench: Bench) -> dict[str, Any]:
    """Outputs of the model, and of another one with its weights through a file."""
    bench.built.program.reset()
    right, other = bench.outputs(2), bench.another()
    other_before = other.outputs(2)
    with tempfile.TemporaryDirectory() as folder:
        bench.built.program.save(Path(folder))
        other.built.program.restore(Path(folder))
    error = difference(other.outputs(2), right)
    told = "" if difference(other_before, right) else "the other weights gave the same outputs, too"
    return plain("differs" if error else "same", error, told)
