"""Which implementation each stack took of attention, recurrent and convolution layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.results import wording
from benchmarks.results.profiles import StepProfile
from reports.contents import text, verdicts
from reports.contents.sections import Cell, Column, Table, stack_cell

if TYPE_CHECKING:
    from benchmarks.results.records import Run
    from profilers.ops.rows import Implementation

COLUMNS = (
    Column("model", "Model"),
    Column("conditions", "Conditions"),
    Column("stack", "Stack"),
    Column("layers", "Layers"),
    Column("pass", "Pass"),
    Column("implementation", "Implementation"),
    Column("told", "Told by"),
    Column("phases", "In the phases"),
)


def ran(run: Run) -> Table | None:
    """A row for each implementation of a stack, with the phases in which its profile shows it."""
    found: dict[tuple[str, str, str, Implementation], list[str]] = {}
    for result in run.matchups:
        matchup = result.matchup
        for stack in (result.profile or StepProfile()).stacks:
            for told in stack.implementations:
                key = matchup.model, verdicts.conditions(matchup), stack.stack, told
                found.setdefault(key, []).append(matchup.phase)
    rows = tuple(
        (
            _cell(model),
            _cell(conditions),
            stack_cell(stack),
            _cell(told.family),
            _cell(told.phase),
            Cell(text.brief(wording.implemented(told), 120), told.name or "", "wrap"),
            Cell(text.brief(wording.told_by(told), 200), css="wrap"),
            Cell(text.brief(", ".join(phases), 120), css="wrap"),
        )
        for (model, conditions, stack, told), phases in found.items()
    )
    return Table(caption="What kernel ran", columns=COLUMNS, rows=rows) if rows else None


def _cell(words: str) -> Cell:
    return Cell(text.name(words), words)
