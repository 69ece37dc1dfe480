"""What Keras costs and what the engine costs, told apart where a run holds Keras on PyTorch.

Keras on PyTorch and PyTorch alone differ by Keras; two backends of Keras differ by their engine.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from benchmarks import frameworks
from benchmarks.results import wording
from reports.contents import text
from reports.contents.sections import Cell, Column, Table, matchup_cells
from reports.contents.verdicts import Outcome, Pair, outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.results.records import MatchupResult, Run


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
    facts = {c.stack: frameworks.known(_framework(c.stack)) for c in result.cases}
    engines = {stack: found.engine for stack, found in facts.items() if found and found.engine}
    for stack, engine in engines.items():
        bare = f"{engine}-{stack.partition('-')[2]}"
        if bare in facts:
            yield "Keras", _keras(_found(result, bare, stack), bare, stack)
    keras = [stack for stack, found in facts.items() if found and found.dialect == "keras"]
    for one, other in combinations(keras if engines else [], 2):
        if _framework(one) != _framework(other):
            yield "engine", _engine(_found(result, one, other), one, other)


def _framework(stack: str) -> str:
    return stack.partition("-")[0]


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
    plain = _framework(bare)
    figures = f"{through} / {bare} = {wording.factor(ratio)} {wording.interval(low, high)}"
    if found.word == "no call":
        return f"no call on what Keras costs over {plain} on the same engine ({figures})"
    if ratio < 1:
        return f"Keras is no cost: it saves {text.share(1 - ratio)} on the same engine ({figures})"
    return f"Keras costs {text.share(ratio - 1)} over {plain} on the same engine ({figures})"


def _engine(found: Outcome | None, one: str, other: str) -> str:
    if found is None or found.word == "not comparable":
        return _silent(found, one, other)
    return f"under the same Keras, {found.phrase}"


def _silent(found: Outcome | None, a: str, b: str) -> str:
    reason = found.reason if found else None
    return wording.verdict_words(a, b, "not comparable", reason=reason)
