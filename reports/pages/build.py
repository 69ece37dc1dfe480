"""Writes the report of a run beside its data. Each file is there whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.results.stored.files import replace
from reports.charts import svg
from reports.contents import text
from reports.pages import html, markdown
from reports.runs.load import cases_frame, load_run

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.results.records import Run

PAGE = "report.html"


def build(run_dir: Path, run: Run | None = None) -> Path:
    """Write page, summary, table and pictures into the folder of a run; of ``run``, if it was read.

    Of each kind of picture the first is a file; the page holds all.

    Returns the path of the page, which is written last: where it is new, so is the rest.

    Raises:
        LoadError: the run cannot be read.
        OSError: the folder cannot be written.
    """
    run = run or load_run(run_dir)
    folder = run_dir if run_dir.is_dir() else run_dir.parent
    figures = html.draw(run)
    for name, several in figures.items():
        if several:
            replace(folder / f"{name}.png", svg.png(several[0]))
        else:
            (folder / f"{name}.png").unlink(missing_ok=True)  # left by an earlier report
    replace(folder / "cases.csv", cases_csv(run).encode())
    replace(folder / "report.md", markdown.render(run).encode())
    replace(folder / PAGE, html.render(run, figures).encode())
    return folder / PAGE


def cases_csv(run: Run) -> str:
    """Every case as CSV; a text that a spreadsheet would run as a formula starts with a quote."""
    frame = cases_frame(run)
    written: str = frame.map(inert).to_csv(index=False, lineterminator="\n")
    return written


def inert(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula, with a quote before it; else the value."""
    if not isinstance(value, str):
        return value
    words = text.clean(value)
    return f"'{words}" if words.startswith(("=", "+", "-", "@", "\t")) else words
