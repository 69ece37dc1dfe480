"""The page of an audit, from its summary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markupsafe import Markup

from benchmarks.results.stored import files
from reports.contents import text
from reports.contents.sections import Cell, Column, Table
from reports.pages import html
from reports.runs.load import LoadError

SUMMARY = "audit.json"
BAD = {"differs", "changes", "not deterministic", "failed"}
"""Words that are findings, and those of checks that could not be made."""
COLUMNS = (
    Column("model", "Model"),
    Column("stack", "Stack"),
    Column("check", "Check"),
    Column("word", "Found"),
    Column("figure", "Largest difference", numeric=True),
    Column("bound", "Rounding bound", numeric=True),
    Column("reason", "Reason"),
)


def write(folder: Path) -> Path:
    """Write ``audit.html`` into the folder of an audit; its path.

    Raises:
        LoadError: the summary is missing, or none of an audit.
        OSError: the page cannot be written.
    """
    try:
        rows = files.parse(files.read(folder / SUMMARY))["rows"]
        table = Table(
            caption="What each check found",
            columns=COLUMNS,
            rows=tuple(tuple(_cells(row)) for row in rows),
        )
    except OSError as error:
        raise LoadError(f"cannot read {folder / SUMMARY}: {error.strerror}") from None
    except (LookupError, TypeError, ValueError) as error:
        raise LoadError(f"{folder / SUMMARY} is not what an audit wrote: {error}") from None
    path = folder / "audit.html"
    files.replace(path, _page(folder.name, table).encode())
    return path


def _cells(row: dict[str, Any]) -> Iterator[Cell]:
    for name in ("model", "stack", "check", "word"):
        told = text.clean(str(row[name]))
        yield Cell(told, told, "bad" if name == "word" and told in BAD else "")
    for name in ("figure", "bound"):
        value = None if row[name] is None else float(row[name])
        yield Cell("–" if value is None else "0" if value == 0 else f"{value:.1e}", value)
    reason = text.clean(str(row["reason"]))
    yield Cell(reason, reason, "wrap")


def _page(name: str, table: Table) -> str:
    css = html.style()
    script = (html.TEMPLATES / "report.js").read_text(encoding="utf-8")
    words = [row[3].text for row in table.rows]
    page: str = (
        html.environment()
        .get_template("audit.html")
        .render(
            name=name,
            rows=table,
            counts=", ".join(f"{words.count(w)} {w}" for w in dict.fromkeys(words)),
            policy=html.policy(css, script),
            css=Markup(css),  # noqa: S704  our own file
            script=Markup(script),  # noqa: S704  our own file
        )
    )
    return page
