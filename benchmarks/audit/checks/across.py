"""Both frameworks compute one function with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.audit.rows import Row, Word
from benchmarks.proof import compare
from benchmarks.proof.group import compare_stack

if TYPE_CHECKING:
    from benchmarks.audit.run import Audited

ORDER, LETTER = 6, "f"
TITLE = "across frameworks with the same weights"


def rows(on: Audited) -> Iterator[Row]:
    """The proof in float64, and the stack's outputs as timed against its reference."""
    parity, made = on.proof.parity, on.row("across in float64")
    worst = max((e for e in parity.max_rel_error.values() if e is not None), default=None)
    made = replace(made, figure=worst, bound=compare.TOLERANCE, reason=parity.reason or "")
    if parity.status == "failed":
        yield replace(made, word="differs", refutes=True)
        return
    word: Word = (
        "unsupported" if parity.status == "partial" else "same" if not worst else "rounding"
    )
    yield replace(made, word=word)
    reference, written = on.proof.references["inference"], on.folder / "timed.npz"
    with on.held("across as timed") as kept:
        on.ask("check", part="inference", path=str(written))
        for check in compare_stack(
            on.group, on.selection, parity, on.stack, reference=reference, written=written
        ):
            kept.append(
                replace(
                    on.row("across as timed"),
                    word="rounding" if check.ok else "differs",
                    figure=check.error,
                    bound=check.bound,
                    refutes=not check.ok,
                )
            )
    yield from kept
