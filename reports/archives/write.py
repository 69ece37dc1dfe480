"""Writes what an archive comes to: page, picture, Markdown and CSV, each whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.table import Table as RichTable

from benchmarks.results.stored.files import replace
from reports.archives.archive import Archive, Row, Scored
from reports.archives.scores import Difference
from reports.charts import svg
from reports.charts.bars import MOST_ROWS, ROW
from reports.charts.svg import Room, below, drawing, panels, width
from reports.contents import text
from reports.contents.palette import LIGHT, look
from reports.contents.sections import Cell, Column, Table
from reports.pages import html, markdown
from reports.pages.build import inert

STACKS = {"pytorch": "torch-eager", "keras": "tensorflow-graph"}
"""The stack in whose colour and shape a platform is drawn; any other one is a stack itself."""
ABSENT = "–"


def write(archive: Archive, folder: Path) -> Path:
    """Write all files into a folder, which is made; the path of the page, written last.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {scored.dataset: chart(scored) for scored in archive.scored}
    for index, several in enumerate(figures.values(), start=1):
        replace(folder / f"accuracy{index}.png", svg.png(several[0]))
    replace(folder / "models.csv", csv(archive).encode())
    replace(folder / "archive.md", as_markdown(archive).encode())
    page = folder / "archive.html"
    replace(page, as_page(archive, figures).encode())
    return page


def as_text(archive: Archive) -> tuple[RenderableType, ...]:
    """What a console shows."""
    shown: list[RenderableType] = [scored.line for scored in archive.scored]
    shown += archive.notes
    for table in tables(archive):
        made = RichTable(title=table.caption, title_justify="left", show_edge=False, pad_edge=False)
        for column in table.columns:
            made.add_column(
                column.label, justify="right" if column.numeric else "left", overflow="fold"
            )
        for row in table.rows:
            made.add_row(*(text.clean(cell.text) for cell in row))
        shown.append(made)
    return tuple(shown)


def accuracies(scored: Scored) -> Table:
    """Every model of a data set, best first."""
    columns = (
        Column("rank", "Rank", numeric=True),
        Column("model", "Model"),
        Column("platform", "Platform"),
        Column("top1", "Top-1 %", numeric=True),
        Column("interval", "95 % interval", numeric=True),
        Column("top5", "Top-5 %", numeric=True),
        Column("tied", "Ties", numeric=True),
        Column("published", "Published"),
        Column("authors", "Authors' top-1 %", numeric=True),
        Column("gap", "Gap, points", numeric=True),
        Column("like", "Not told apart from"),
    )
    return Table(
        caption=f"Accuracy on {scored.dataset}, {scored.images:,} images",
        columns=columns,
        rows=tuple(_row(row) for row in scored.rows),
    )


def _row(row: Row) -> tuple[Cell, ...]:
    key, (top1, top5), (low, high) = row.score.key, row.score.accuracy, row.score.interval
    stands = {None: ABSENT, True: "exactly this", False: _published(row)}[row.equal]
    like = ", ".join(f"{k.model} ({k.platform})" for k in row.like)
    return (
        Cell(str(row.rank), float(row.rank)),
        Cell(key.model, key.model),
        Cell(key.platform, key.platform),
        Cell(f"{100 * top1:.3f}", top1),
        Cell(f"{100 * low:.2f} to {100 * high:.2f}", low),
        Cell(f"{100 * top5:.3f}", top5),
        Cell(str(row.score.tied), float(row.score.tied)),
        Cell(stands, stands, "bad" if row.equal is False else ""),
        Cell(f"{100 * row.authors.top1:.2f}", row.authors.top1) if row.authors else Cell(ABSENT),
        Cell(f"{100 * row.gap:+.2f}", row.gap) if row.gap is not None else Cell(ABSENT),
        Cell(like or "none", like, "wrap"),
    )


def _published(row: Row) -> str:
    of = row.published
    shares = [] if of is None else [s for s in (of.top1, of.top5) if s is not None]
    return " / ".join(f"{100 * share:.3f}" for share in shares)


def namesakes(scored: Scored) -> Table | None:
    """Models that several platforms have, on the same images; ``None`` where there are none."""
    columns = (
        Column("a", "Model"),
        Column("b", "Against"),
        Column("alone", "Right alone", numeric=True),
        Column("points", "Difference, points", numeric=True),
        Column("p", "p (McNemar)", numeric=True),
    )
    rows = tuple(_difference(one) for one in scored.namesakes)
    caption = f"One name on two platforms, {scored.dataset}"
    return Table(caption=caption, columns=columns, rows=rows) if rows else None


def _difference(of: Difference) -> tuple[Cell, ...]:
    low, high = of.ci95
    points = f"{100 * of.share:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"
    return (
        Cell(f"{of.a.model} ({of.a.platform})", str(of.a)),
        Cell(f"{of.b.model} ({of.b.platform})", str(of.b)),
        Cell(f"{of.a_alone:,} against {of.b_alone:,}", float(of.a_alone)),
        Cell(points, of.share),
        Cell(f"{of.p:.2g}", of.p),
    )


def tables(archive: Archive) -> Iterator[Table]:
    """All tables of an archive, in order."""
    for scored in archive.scored:
        yield accuracies(scored)
        if same := namesakes(scored):
            yield same


def as_markdown(archive: Archive) -> str:
    """GitHub-flavoured Markdown."""
    lines = [f"# Stored predictions: {markdown.escape(archive.name)}", ""]
    lines += [f"- {markdown.escape(s.line)}" for s in archive.scored]
    lines += [f"- {markdown.escape(note)}" for note in archive.notes]
    for table in tables(archive):
        rows = [[cell.text for cell in row] for row in table.rows]
        heads = [column.label for column in table.columns]
        lines += ["", f"## {markdown.escape(table.caption)}", "", *markdown.table(heads, rows)]
    return "\n".join([*lines, ""])


def csv(archive: Archive) -> str:
    """Every model as CSV, accuracies as shares; no text is a formula to a spreadsheet."""
    rows = [
        {
            "dataset": scored.dataset,
            "model": row.score.key.model,
            "platform": row.score.key.platform,
            "images": scored.images,
            "rank": row.rank,
            "top1": row.score.accuracy[0],
            "low": row.score.interval[0],
            "high": row.score.interval[1],
            "top5": row.score.accuracy[1],
            "tied": row.score.tied,
            "published_top1": row.published and row.published.top1,
            "published_top5": row.published and row.published.top5,
            "authors_top1": row.authors and row.authors.top1,
        }
        for scored in archive.scored
        for row in scored.rows
    ]
    written: str = pd.DataFrame(rows).map(inert).to_csv(index=False, lineterminator="\n")
    return written


def as_page(archive: Archive, figures: Mapping[str, Sequence[Figure]] | None = None) -> str:
    """The page, self-contained."""
    css = html.style()
    script = (html.TEMPLATES / "report.js").read_text(encoding="utf-8")
    drawn = figures or {scored.dataset: chart(scored) for scored in archive.scored}
    page: str = (
        html.environment()
        .get_template("archive.html")
        .render(
            archive=archive,
            policy=html.policy(css, script),
            css=Markup(css),  # noqa: S704  our own file
            script=Markup(script),  # noqa: S704  our own file
            sections=[
                (
                    scored,
                    accuracies(scored),
                    namesakes(scored),
                    [_inline(f, f"a{i}-{j}") for j, f in enumerate(drawn[scored.dataset])],
                )
                for i, scored in enumerate(archive.scored)
            ],
        )
    )
    return page


def _inline(figure: Figure, key: str) -> Markup:
    words = "Accuracy of every model with its 95 % interval"
    return Markup(svg.inline(figure, key, words))  # noqa: S704  escaped by the XML writer


def chart(scored: Scored) -> list[Figure]:
    """Top-1 accuracy with its interval, best first; a bar to what the authors published."""
    parts = [
        scored.rows[first : first + MOST_ROWS] for first in range(0, len(scored.rows), MOST_ROWS)
    ]
    return [_picture(part) for part in parts]


def _picture(rows: Sequence[Row]) -> Figure:
    names = [f"{text.name(r.score.key.model, 30)}  {r.score.key.platform}" for r in rows]
    with drawing():
        room = Room(left=width(names) + 10, right=30, top=12, bottom=62)
        figure, (ax,) = panels([ROW * len(rows)], 1, room)
        for y, row in enumerate(rows):
            drawn = look(STACKS.get(row.score.key.platform, row.score.key.platform))
            top1, (low, high) = row.score.accuracy[0], row.score.interval
            if row.authors:
                ends = [100 * top1, 100 * row.authors.top1]
                ax.plot(ends, [y, y], color=LIGHT["rule"], linewidth=4, zorder=1)
                ax.plot(ends[1], y, marker="|", color=LIGHT["muted"], markersize=11, zorder=2)
            ax.plot([100 * low, 100 * high], [y, y], color=drawn.color, linewidth=1.6, zorder=3)
            ax.plot(100 * top1, y, marker=drawn.marker, color=drawn.color, markersize=6.5, zorder=4)
        ax.set_yticks(range(len(rows)), names)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.grid(axis="x")
        ax.set_xlabel("top-1 accuracy, per cent")
        below(
            figure,
            "Whiskers: 95 % interval (Wilson). Grey bar: to what the authors of the weights gave.",
        )
    return figure
