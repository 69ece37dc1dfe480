"""The page of an audit, from its summary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
NAMED = 20
"""Pictures that are named of those on which two stacks disagree, of each two."""
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
        found = files.parse(files.read(folder / SUMMARY))
        checks = Table(
            caption="What each check found",
            columns=COLUMNS,
            rows=tuple(tuple(_cells(row)) for row in found["rows"]),
        )
        accuracy = _accuracy(found["accuracy"]) if found.get("accuracy") else None
    except OSError as error:
        raise LoadError(f"cannot read {folder / SUMMARY}: {error.strerror}") from None
    except (LookupError, TypeError, ValueError) as error:
        raise LoadError(f"{folder / SUMMARY} is not what an audit wrote: {error}") from None
    path = folder / "audit.html"
    files.replace(path, _page(folder.name, checks, accuracy).encode())
    return path


def _cells(row: dict[str, Any]) -> Iterator[Cell]:
    yield from _names(row, "model", "stack", "check", "word")
    for name in ("figure", "bound"):
        value = None if row[name] is None else float(row[name])
        yield Cell("–" if value is None else "0" if value == 0 else f"{value:.1e}", value)
    reason = text.clean(str(row["reason"]))
    yield Cell(reason, reason, "wrap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """What the page says of labelled pictures: in words, by stack, and of each two stacks.

    ``pictures`` are those on which two disagree.
    """

    words: tuple[str, ...]
    stacks: Table
    pairs: Table
    pictures: Table


def _accuracy(found: dict[str, Any]) -> Accuracy:
    counts = f"{int(found['pictures']):,} pictures of {int(found['classes']):,} classes"
    words = (f"{found['dataset']}: {counts}", str(found["preprocessing"]))
    return Accuracy(
        words=tuple(map(text.clean, words)),
        stacks=_stacks(found["stacks"]),
        pairs=_pairs(found["pairs"]),
        pictures=_pictures(found["pairs"]),
    )


def _stacks(rows: list[dict[str, Any]]) -> Table:
    return Table(
        caption="Accuracy of each stack",
        columns=(
            Column("model", "Model"),
            Column("stack", "Stack"),
            Column("top1", "Top-1 %", numeric=True),
            Column("top1_ci95", "95 % interval", numeric=True),
            Column("top5", "Top-5 %", numeric=True),
            Column("top5_ci95", "95 % interval", numeric=True),
        ),
        rows=tuple(tuple(_counted(row)) for row in rows),
    )


def _pairs(rows: list[dict[str, Any]]) -> Table:
    return Table(
        caption="Two stacks on the same pictures",
        columns=(
            Column("model", "Model"),
            Column("a", "Stack"),
            Column("b", "Against"),
            Column("word", "Found"),
            Column("alone", "Right alone", numeric=True),
            Column("points", "Difference, points", numeric=True),
            Column("p", "p (McNemar)", numeric=True),
            Column("disagree", "Disagree on", numeric=True),
        ),
        rows=tuple(tuple(_compared(row)) for row in rows),
    )


def _pictures(rows: list[dict[str, Any]]) -> Table:
    return Table(
        caption="Pictures on which two stacks disagree",
        columns=(
            Column("model", "Model"),
            Column("picture", "Picture"),
            Column("a", "Stack"),
            Column("a_class", "Its class"),
            Column("b", "Against"),
            Column("b_class", "Its class"),
        ),
        rows=tuple(tuple(_disagreed(row, one)) for row in rows for one in row["on"][:NAMED]),
    )


def _disagreed(row: dict[str, Any], one: dict[str, Any]) -> Iterator[Cell]:
    yield from (*_names(row, "model"), *_names(one, "picture"))
    for stack in ("a", "b"):
        yield from (*_names(row, stack), *_names(one, stack))


def _names(row: dict[str, Any], *names: str) -> Iterator[Cell]:
    for name in names:
        told = text.clean(str(row[name]))
        yield Cell(told, told, "bad" if name == "word" and told in BAD else "")


def _counted(row: dict[str, Any]) -> Iterator[Cell]:
    yield from _names(row, "model", "stack")
    for name in ("top1", "top5"):
        share, (low, high) = float(row[name]), map(float, row[f"{name}_ci95"])
        yield Cell(f"{100 * share:.2f}", share)
        yield Cell(f"{100 * low:.2f} to {100 * high:.2f}", low)


def _compared(row: dict[str, Any]) -> Iterator[Cell]:
    yield from _names(row, "model", "a", "b", "word")
    a_alone, b_alone, count = (int(row[name]) for name in ("a_alone", "b_alone", "disagree"))
    share, (low, high), p = float(row["share"]), map(float, row["ci95"]), float(row["p"])
    yield Cell(f"{a_alone:,} against {b_alone:,}", float(a_alone))
    yield Cell(f"{100 * share:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]", share)
    yield Cell(f"{p:.2g}", p)
    yield Cell(f"{count:,}", float(count))


def _page(name: str, table: Table, accuracy: Accuracy | None) -> str:
    css = html.style()
    script = (html.TEMPLATES / "report.js").read_text(encoding="utf-8")
    words = [row[3].text for row in table.rows]
    page: str = (
        html.environment()
        .get_template("audit.html")
        .render(
            name=name,
            rows=table,
            accuracy=accuracy,
            counts=", ".join(f"{words.count(w)} {w}" for w in dict.fromkeys(words)),
            policy=html.policy(css, script),
            css=Markup(css),  # noqa: S704  our own file
            script=Markup(script),  # noqa: S704  our own file
        )
    )
    return page
