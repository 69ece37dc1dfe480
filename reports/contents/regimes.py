"""Where the winner changes: the ratio of a pair over the batches and sizes of each model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.results import wording
from benchmarks.results.records import COLD
from reports.contents import text, verdicts
from reports.contents.palette import look
from reports.contents.sections import Cell, Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.results.records import Matchup, Run
    from reports.contents.verdicts import Outcome, Pair


class Change(NamedTuple):
    """The nearest two batches with a call for either stack; between them there may be no call."""

    low: Outcome
    high: Outcome

    @property
    def at(self) -> float:
        """The batch at which the ratio would be 1, with its logarithm a line between the two."""
        low, high = (math.log(o.ratio) for o in self)
        first, last = (math.log(o.matchup.batch) for o in self)
        return math.exp(first + (last - first) * low / (low - high))

    @property
    def words(self) -> str:
        """Up to where one stack is faster, and from where on the other."""
        return (
            f"{self.low.winner} up to batch {self.low.matchup.batch}, {self.high.winner} from"
            f" {self.high.matchup.batch} on (equal near {wording.digits(self.at)})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A model in a phase over its batches, two or more, all else equal; ``points`` are by batch.

    ``detail`` tells it from other curves of the model in the phase: its size, for example.
    """

    model: str
    phase: str
    detail: str
    points: tuple[Outcome, ...]

    @property
    def name(self) -> str:
        """What the curve is of, but for its phase."""
        return text.items([self.model, self.detail])

    @property
    def changes(self) -> tuple[Change, ...]:
        """Where the winner changes, from small batches to large ones."""
        called = [o for o in self.points if o.winner]
        return tuple(Change(a, b) for a, b in pairwise(called) if a.winner != b.winner)


def curves(run: Run, pair: Pair) -> tuple[Curve, ...]:
    """Every curve that a run holds of a pair: by model, then by phase, then as the run has them.

    A cold start is that of a process, and is not drawn over batches.
    """
    found: dict[tuple[str, ...], dict[int, Outcome]] = {}
    for outcome in verdicts.outcomes(run, pair):
        if outcome.matchup.phase != COLD:
            found.setdefault(_key(outcome.matchup), {})[outcome.matchup.batch] = outcome
    several = {key: of for key, of in found.items() if len(of) > 1}
    models = list(dict.fromkeys(model for model, *_ in several))
    phases = verdicts.phase_order(phase for _, phase, *_ in several)
    made = []
    for key in sorted(several, key=lambda k: (models.index(k[0]), phases.index(k[1]))):
        alike = [other for other in several if other[:2] == key[:2]]
        told = zip(key[2:], *(other[2:] for other in alike), strict=True)
        detail = text.items(own or "full size" for own, *others in told if len(set(others)) > 1)
        points = tuple(of for _, of in sorted(several[key].items()))
        made.append(Curve(model=key[0], phase=key[1], detail=detail, points=points))
    return tuple(made)


def _key(matchup: Matchup) -> tuple[str, ...]:
    """Model and phase, then all else that is equal along a curve."""
    like = (matchup.variant, matchup.precision, matchup.device, matchup.policy)
    return (matchup.model, matchup.phase, *like)


def tables(run: Run) -> Iterator[Table]:
    """A table for each pair that a run compares over batches."""
    for pair in verdicts.pairs(run):
        of = curves(run, pair)
        if of:
            yield _table(pair, of)


def _table(pair: Pair, of: tuple[Curve, ...]) -> Table:
    batches = sorted({o.matchup.batch for curve in of for o in curve.points})
    columns = (
        Column("model", "Model"),
        Column("phase", "Phase"),
        *(Column(f"b{batch}", f"Batch {batch}") for batch in batches),
        Column("change", "Winner changes"),
    )
    rows = []
    for curve in of:
        by_batch = {o.matchup.batch: o for o in curve.points}
        cells = [_cell(by_batch.get(batch)) for batch in batches]
        changes = Cell("; ".join(c.words for c in curve.changes) or "no", css="wrap")
        rows.append((Cell(curve.name), Cell(curve.phase), *cells, changes))
    return Table(caption=f"{pair} over batches", columns=columns, rows=tuple(rows))


def _cell(outcome: Outcome | None) -> Cell:
    return Cell(mark(outcome), outcome.ratio if outcome and outcome.ratio > 0 else None)


def mark(outcome: Outcome | None) -> str:
    """An outcome in a few characters: the winner's sign and the ratio."""
    if outcome is None:
        return wording.ABSENT
    if outcome.word == "not comparable":
        return "\N{MULTIPLICATION X}"
    sign = look(outcome.winner).glyph if outcome.winner else "="
    return f"{sign} {wording.times(outcome.factor[0])}"
