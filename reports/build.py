"""Writes the report of a run beside its data. Each file is there whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports import charts, forest, html, markdown, roofline, svg, telemetry, text, why
from reports.files import write
from reports.load import cases_frame, load_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure

    from benchmarks.results.records import Run

PAGE = "report.html"
# file name -> what draws it; a chart that does not apply to a run leaves no file
PICTURES: dict[str, Callable[[Run], Figure | None]] = {
    "forest.png": forest.forest,
    "cold_start.png": charts.cold_start,
    "memory.png": charts.memory,
    "why.png": why.chart,
    "roofline.png": roofline.chart,
    "telemetry.png": telemetry.picture,
    "device_memory.png": lambda run: charts.memory(run, "device_peak_bytes"),
}


def build(run_dir: Path) -> Path:
    """Write page, summary, table and pictures into the folder of a run.

    Returns the path of the page, which is written last: where it is new, so is the rest.

    Raises:
        LoadError: the run cannot be read.
        OSError: the folder cannot be written.
    """
    run = load_run(run_dir)
    folder = run_dir if run_dir.is_dir() else run_dir.parent
    for name, draw in PICTURES.items():
        figure = draw(run)
        if figure is None:
            (folder / name).unlink(missing_ok=True)  # left by an earlier report
        else:
            write(folder / name, svg.png(figure))
    write(folder / "cases.csv", cases_csv(run).encode())
    write(folder / "report.md", markdown.render(run).encode())
    write(folder / PAGE, html.render(run).encode())
    return folder / PAGE


def cases_csv(run: Run) -> str:
    """Every case as CSV; a text that a spreadsheet would run as a formula starts with a quote."""
    frame = cases_frame(run)
    written: str = frame.map(_inert).to_csv(index=False, lineterminator="\n")
    return written


def _inert(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    words = text.clean(value)
    return f"'{words}" if words.startswith(("=", "+", "-", "@", "\t")) else words
