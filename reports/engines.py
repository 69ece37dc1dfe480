"""What Keras costs and what the engine costs, told apart where a run holds Keras on PyTorch.

Keras on PyTorch and PyTorch alone differ by Keras; two backends of Keras differ by their engine.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from reports import text
from reports.sections import Cell, Column, Table, matchup_cells
from reports.verdicts import Outcome, Pair, outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.records import MatchupResult, Run

BARE = "torch"
THROUGH_KERAS = ("keras_torch", "tensorflow", "jax")


def costs(run: Run) -> Table | None:
    """One row for every pair that tells Keras or an engine apart; ``None`` where there is none."""
    columns = (
        Column("model", "Model"),
        Column("phase", "Phase"),
        Column("conditions", "Conditions"),
        Column("what", "What differs"),
        Column("words", "In words"),
    )
    rows = [
        (*matchup_cells(result.matchup), Cell(what, what), Cell(words, css="wrap"))
        for result in run.matchups
        for what, words in sentences(result)
    ]
    if not rows:
        return None
    return Table(caption="Keras or the engine", columns=columns, rows=tuple(rows))


def sentences(result: MatchupResult) -> Iterator[tuple[str, str]]:
    """What differs in a pair of a matchup, ``Keras`` or ``engine``, and what it costs."""
    stacks = [case.stack for case in result.cases]
    for stack in stacks:
        framework, _, mode = stack.partition("-")
        bare = f"{BARE}-{mode}"
        if framework == "keras_torch" and bare in stacks:
            yield "Keras", _keras(_found(result, bare, stack), bare, stack)
    if not any(stack.startswith("keras_torch-") for stack in stacks):
        return
    by_framework = {stack: stack.partition("-")[0] for stack in stacks}
    keras = [stack for stack in stacks if by_framework[stack] in THROUGH_KERAS]
    for one, other in combinations(keras, 2):
        if by_framework[one] != by_framework[other]:
            yield "engine", _engine(_found(result, one, other), one, other)


def _found(result: MatchupResult, a: str, b: str) -> Outcome | None:
    """What the record says of two stacks, whichever it names first."""
    return outcome(result, Pair(a, b)) if _recorded(result, a, b) else outcome(result, Pair(b, a))


def _recorded(result: MatchupResult, a: str, b: str) -> bool:
    return any((v.a, v.b) == (a, b) for v in result.verdicts)


def _keras(found: Outcome | None, bare: str, through: str) -> str:
    if found is None or found.word == "not comparable":
        return _silent(found, bare, through)
    ends = found.ratio, *found.ci95
    # Time with Keras over time without: the record may hold it the other way round.
    ratio, low, high = ends if found.pair.a == bare else (1 / ends[0], 1 / ends[2], 1 / ends[1])
    figures = f"{through} / {bare} = {text.factor(ratio)} {text.interval(low, high)}"
    if found.word == "no call":
        return f"no call on what Keras costs over torch on the same engine ({figures})"
    if ratio < 1:
        return f"Keras is no cost: it saves {text.share(1 - ratio)} on the same engine ({figures})"
    return f"Keras costs {text.share(ratio - 1)} over torch on the same engine ({figures})"


def _engine(found: Outcome | None, one: str, other: str) -> str:
    if found is None or found.word == "not comparable":
        return _silent(found, one, other)
    return f"under the same Keras, {found.pair}: {found.phrase}"


def _silent(found: Outcome | None, a: str, b: str) -> str:
    reason = found.reason if found else None
    return f"{a} against {b}: not comparable: {reason or 'no verdict was recorded'}"
