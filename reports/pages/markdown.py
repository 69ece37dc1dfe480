"""The run as GitHub-flavoured Markdown, for a pull request or a terminal: verdicts, not samples."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from benchmarks.results import wording
from benchmarks.results.wording import error_words
from reports.contents import engines, kernels, machine, regimes, sections, text, verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.results.records import Finding, Run
    from reports.contents.verdicts import Grid, Outcome, Pair

MAX_CHARACTERS = 60_000  # a comment on GitHub holds 65 536
# Emphasis, links, tables, HTML, mentions, formulas, emoji, and bare addresses.
_ACTIVE = re.compile(r"([\\`*_\[\]#|<>~$@&]|:(?=//|[a-z])|(?<=www)\.)")
_NOTE = "\n_Cut here: the rest stands in report.html._\n"


def render(run: Run) -> str:
    """A summary shorter than ``MAX_CHARACTERS``; what is cut is said to be cut."""
    lines = [
        f"# twinbench, {escape(text.moment(run.started))}",
        "",
        escape(text.items(machine.machine(run))),
        "",
        escape(text.items(f"{name} {version}" for name, version in machine.versions(run))),
        "",
        escape(text.items([*verdicts.validity(run), *machine.fairness_words(run)])),
    ]
    for pair in verdicts.pairs(run):
        lines += ["", f"## {escape(verdicts.summary(run, pair))}", "", *_grid(run, pair)]
    if withheld := verdicts.withheld(run):
        lines += ["", "## Withheld", ""]
        lines += [f"- {escape(w.what)}: {escape(text.brief(w.reason, 300))}" for w in withheld]
    if notes := verdicts.notes(run):
        lines += ["", "## Beside the samples", ""]
        lines += [f"- {escape(n.what)}: {escape(text.brief(n.reason, 300))}" for n in notes]
    for shown in (
        *regimes.tables(run),
        kernels.ran(run),
        engines.costs(run),
        sections.cold_starts(run),
        sections.learned(run),
    ):
        if shown:
            rows = [[cell.text for cell in row] for row in shown.rows]
            heads = [column.label for column in shown.columns]
            lines += ["", f"## {escape(shown.caption)}", "", *table(heads, rows)]
    lines += ["", "## Run it again", "", _code(shlex.join(run.command)), ""]
    return _cut(lines)


def escape(words: str) -> str:
    """The text on one line, with everything Markdown or HTML would act on made inert."""
    return _ACTIVE.sub(r"\\\1", " ".join(text.clean(words).split()))


def _grid(run: Run, pair: Pair) -> list[str]:
    grid = verdicts.grid(run, pair)
    rows = [
        [
            text.items([row.model, row.detail]),
            *("; ".join(map(_words, c)) or wording.ABSENT for c in row.cells),
        ]
        for row in grid.rows
    ]
    return [*table(["", *grid.phases], rows), *_findings(grid)]


def _findings(grid: Grid) -> list[str]:
    """What the proofs found that touches the verdicts of a table, with its error and the models."""
    touched: dict[Finding, list[str]] = {}
    for row in grid.rows:
        for found in row.found:
            touched.setdefault(found, []).append(row.model)
    lines = []
    for found, models in touched.items():
        error = "" if found.error is None else f" (relative error {error_words(found.error)})"
        named = ", ".join(dict.fromkeys(models))
        lines.append(f"- {escape(f'{named}: {text.brief(found.text, 300)}{error}')}")
    return ["", "What the proofs found that touches these verdicts:", "", *lines] if lines else []


def _words(outcome: Outcome) -> str:
    return text.brief(outcome.phrase, 240)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table."""

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(escape(cell) for cell in cells)} |"

    return [line(heads), f"|{' --- |' * len(heads)}", *map(line, rows)]


def _code(command: str) -> str:
    """A fenced block whose fence is longer than any run of backticks inside."""
    command = text.clean(command).replace("\n", "\\n")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", command)), default=0))
    return f"{fence}sh\n{command}\n{fence}"


def _cut(lines: Iterable[str]) -> str:
    kept: list[str] = []
    room = MAX_CHARACTERS - len(_NOTE) - 1
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            return "\n".join(kept) + _NOTE
        kept.append(line)
    return "\n".join(kept)
