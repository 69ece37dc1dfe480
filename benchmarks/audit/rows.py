"""What a check finds: a row of the audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Word = Literal[
    "same",
    "rounding",
    "differs",
    "not deterministic",
    "changes",
    "measured",
    "not told apart",
    "failed",
    "unsupported",
]
LOST = {"failed"}
"""Words of rows that say nothing of the model: the audit is incomplete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One check of one stack of a model.

    ``figure`` is the largest relative difference, ``None`` where there is none to tell; ``bound``
    what rounding alone may make of it. ``refutes`` says that the frameworks differ with the same
    weights.
    """

    model: str
    stack: str
    check: str
    word: Word
    figure: float | None = None
    bound: float | None = None
    reason: str = ""
    refutes: bool = False


def judged(figure: float, bound: float) -> Word:
    """``same`` where nothing differs, ``rounding`` within the bound, else ``differs``."""
    return "same" if figure == 0 else "rounding" if figure <= bound else "differs"


def plain(word: Word, figure: float | None = None, reason: str = "") -> dict[str, Any]:
    """What a child found, as it is sent to the parent."""
    return {"word": word, "figure": figure, "reason": reason}
