"""The page of a run: one file that loads nothing, runs only its own script, and reads without it.

Every text of a run is shown cleaned and escaped; the policy in the page names the hashes of its
one style sheet and its one script, so that nothing that slipped through could run.
"""  # noqa: A005  the format's name; inside a package it shadows nothing

from __future__ import annotations

import base64
import hashlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmarks.results import wording
from reports.charts import bars, forest, maps, roofline, svg, telemetry, why
from reports.contents import (
    engines,
    kernels,
    machine,
    palette,
    regimes,
    sections,
    text,
    verdicts,
)
from reports.contents.palette import look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from matplotlib.figure import Figure

    from benchmarks.results.records import MatchupResult, Run
    from reports.contents.verdicts import Outcome, Pair

TEMPLATES = Path(__file__).parent / "templates"
MAX_FIGURES = 100
EXITS = {
    0: "complete",
    1: "regression",
    3: "incomplete: a case failed",
    4: "a proof failed",
    130: "interrupted",
}


PICTURES: dict[str, tuple[Callable[[Run], list[Figure]], str]] = {
    "forest": (forest.forest, "Ratio and 95 % interval of every matchup"),
    "regimes": (maps.heat, "Ratio by batch, a row per model, size and phase"),
    "regime_curves": (
        maps.curves,
        "Ratio over batch with its interval, a panel per model and size",
    ),
    "cold_start": (bars.cold_start, "Import, build and first step of every stack"),
    "memory": (bars.memory, "Peak resident memory of every case"),
    "why": (why.chart, "Time of a step by category, stack beside stack"),
    "roofline": (roofline.chart, "Every case under the roofs of the device"),
    "telemetry": (telemetry.over_time, "Utilisation and memory over time"),
    "device_memory": (
        lambda run: bars.memory(run, "device_peak_bytes"),
        "Peak of the device's allocator in every case",
    ),
}
"""By the name of the file: what draws it, and what a screen reader says instead."""


class Mark(NamedTuple):
    """An outcome as a cell of the grid shows it."""

    glyph: str
    head: str
    note: str
    css: str
    tag: str
    title: str
    target: str


class Panel(NamedTuple):
    """A pair with its sentence and its grid; ``rows`` hold model, detail, marks, findings."""

    pair: Pair
    summary: str
    phases: tuple[str, ...]
    rows: list[tuple[str, str, list[list[Mark]], tuple[str, ...]]]


class Detail(NamedTuple):
    """Everything about one matchup that needs a closer look."""

    id: str
    title: str
    figure: Markup | None
    verdicts: list[tuple[str, str]]
    settings: list[tuple[str, str]]
    unsteady: list[str]
    telemetry: sections.Table | None
    missing: tuple[str, ...]


def render(run: Run, figures: Mapping[str, Sequence[Figure]] | None = None) -> str:
    """The page, self-contained; the figures are those of ``draw``, where they are drawn already."""
    css = style()
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    page: str = (
        environment()
        .get_template("report.html")
        .render(
            run=run,
            policy=policy(css, script),
            css=Markup(css),  # noqa: S704  our own file
            script=Markup(script),  # noqa: S704  our own file
            exit_words=EXITS.get(run.exit, f"exit {run.exit}"),
            command=shlex.join(run.command),
            panels=_panels(run, verdicts.pairs(run)),
            other_panels=_panels(run, verdicts.other_pairs(run)),
            details=_details(run),
            **_facts(run),
            **_drawn(draw(run) if figures is None else figures),
        )
    )
    return page


def style() -> str:
    """The style sheet, in both themes."""
    light, dark = (f":root{{{palette.variables(c)}}}" for c in (palette.light(), palette.dark()))
    rules = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    themes = f"{light}\n@media screen and (prefers-color-scheme:dark){{{dark}}}"
    return f"{themes}\n{rules}\n{palette.rules()}\n"


def _facts(run: Run) -> dict[str, Any]:
    floor = run.aa_floor.value
    return {
        "validity": (*verdicts.validity(run), *machine.fairness_words(run)),
        "withheld": verdicts.withheld(run),
        "notes": verdicts.notes(run),
        "machine": machine.machine(run),
        "versions": machine.versions(run),
        "main_versions": machine.main_versions(run),
        "gpu_reason": machine.gpu_reason(run),
        "fairness": run.environment.fairness,
        "failures": sections.failures(run),
        "proofs": sections.proofs(run),
        "cases": sections.cases(run),
        "cold_starts": sections.cold_starts(run),
        "memory": sections.memory(run, "peak_rss_bytes", "Peak resident memory of the process"),
        "device_memory": sections.memory(
            run, "device_peak_bytes", "Peak of the device's allocator"
        ),
        "no_device_memory": sections.device_memory_reasons(run),
        "learned": sections.learned(run),
        "regimes": tuple(regimes.tables(run)),
        "explanations": why.explanations(run),
        "profiled": why.stacks(run),
        "unexplained": why.remarks(run),
        "kernels": kernels.ran(run),
        "roofline": roofline.table(run),
        "engines": engines.costs(run),
        "samples": sections.samples(run),
        "max_samples": sections.sample_limit(run),
        "floor": text.share(floor) if isinstance(floor, float) else None,
        "ceiling": machine.ceiling(run),
        "watching": machine.watching(run),
        "telemetry_cost": wording.watching_cost(run.telemetry),
        "floor_how": run.aa_floor.how,
        "max_figures": MAX_FIGURES,
    }


def draw(run: Run) -> dict[str, list[Figure]]:
    """The pictures of a run by the names of their files; empty where one does not apply."""
    drawn = {name: picture(run) for name, (picture, _) in PICTURES.items()}
    for several in drawn.values():
        for i, figure in enumerate(several if len(several) > 1 else (), start=1):
            svg.corner(figure, f"picture {i} of {len(several)}")
    return drawn


def _drawn(figures: Mapping[str, Sequence[Figure]]) -> dict[str, list[Markup]]:
    return {
        f"{name}_charts": [
            _inline(figure, f"{name}{i}", PICTURES[name][1]) for i, figure in enumerate(several)
        ]
        for name, several in figures.items()
    }


def _inline(figure: Figure, key: str, label: str) -> Markup:
    return Markup(svg.inline(figure, key, text.name(label, 200)))  # noqa: S704  escaped by the XML writer


def _panels(run: Run, pairs: Iterable[Pair]) -> list[Panel]:
    targets = {result.matchup: f"m{i}" for i, result in enumerate(run.matchups)}
    panels = []
    for pair in pairs:
        grid = verdicts.grid(run, pair)
        rows = [
            (row.model, row.detail, [_marks(cell, targets) for cell in row.cells], row.findings)
            for row in grid.rows
        ]
        panels.append(Panel(pair, verdicts.summary(run, pair), grid.phases, rows))
    return panels


def _marks(cell: Iterable[Outcome], targets: dict[Any, str]) -> list[Mark]:
    shown = list(cell)
    return [_mark(o, targets[o.matchup], tagged=len(shown) > 1) for o in shown]


def _mark(outcome: Outcome, target: str, *, tagged: bool) -> Mark:
    conditions = verdicts.conditions(outcome.matchup)
    tag = conditions if tagged else ""
    title = text.items([outcome.phrase, conditions])
    if outcome.word == "not comparable":
        return Mark(
            "\N{MULTIPLICATION X}",
            "not comparable",
            outcome.reason or "",
            "withheld",
            tag,
            title,
            target,
        )
    ratio, low, high = outcome.factor
    range_ = wording.interval(low, high)
    if outcome.winner is None:
        note = f"{wording.factor(ratio)} {range_}"
        return Mark("=", "no call", note, "nocall", tag, title, target)
    drawn = look(outcome.winner)
    head = f"{short(outcome.pair, outcome.winner)} {wording.times(ratio)}"
    return Mark(drawn.glyph, head, f"faster {range_}", drawn.role, tag, title, target)


def short(pair: Pair, stack: str) -> str:
    """The part of a stack's name that tells it from the other of its pair."""
    frameworks = [name.partition("-")[0] for name in pair]
    if not all(frameworks) or frameworks[0] == frameworks[1]:
        return stack
    return stack.partition("-")[0]


def _details(run: Run) -> list[Detail]:
    limit = sections.sample_limit(run)
    details = []
    for i, result in enumerate(run.matchups):
        figure = bars.distributions(result, limit) if i < MAX_FIGURES else None
        matchup = result.matchup
        title = text.items([matchup.model, matchup.phase, verdicts.conditions(matchup)])
        label = f"Samples of every stack in {title}"
        details.append(
            Detail(
                f"m{i}",
                title,
                _inline(figure, f"m{i}", label) if figure else None,
                _spoken(run, result),
                [(c.stack, _settings(c.settings)) for c in result.cases if c.settings],
                [
                    f"{c.stack}, launch {launch.index}"
                    for c in result.cases
                    for launch in c.launches
                    if not launch.steady
                ],
                telemetry.table(result),
                telemetry.missing(result),
            )
        )
    return details


def _spoken(run: Run, result: MatchupResult) -> list[tuple[str, str]]:
    """Per pair the outcome in words, and what it rests on."""
    pairs = (*verdicts.pairs(run), *verdicts.other_pairs(run))
    spoken = []
    for outcome in (verdicts.outcome(result, pair) for pair in pairs):
        if outcome is not None:
            launches = wording.plural(outcome.launches, "launch", "es")
            basis = text.items([launches, f"margin {text.share(outcome.margin)}"])
            spoken.append((outcome.phrase, basis if outcome.word != "not comparable" else ""))
    return spoken


def _settings(settings: dict[str, Any]) -> str:
    return text.items(f"{key} {value}" for key, value in settings.items())


def environment() -> Environment:
    """Reads the templates; every text is cleaned and escaped."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "tail": text.tail,
        "error": wording.error_words,
        "elapsed": text.elapsed,
        "moment": text.moment,
        "whole": text.whole,
        "size": text.size,
        "quantity": text.quantity,
        "rows": _rows,
        "cause_parts": wording.cause_parts,
    }
    made.filters.update(filters)
    return made


def _rows(table: sections.Table, sortable: bool) -> Markup:
    """The rows of a table; the template engine would take three times as long for each cell."""
    numeric = [column.numeric for column in table.columns]
    return Markup("\n").join(  # each part is escaped
        Markup("<tr>{}</tr>").format(
            Markup().join(
                _cell(cell, "th" if i == 0 else "td", numeric[i], sortable)
                for i, cell in enumerate(row)
            )
        )
        for row in table.rows
    )


def _cell(cell: sections.Cell, tag: str, numeric: bool, sortable: bool) -> Markup:
    css = " ".join(filter(None, ["num" if numeric else "", cell.css]))
    key = f"{cell.sort:.6g}" if isinstance(cell.sort, float) else cell.sort
    attributes = (
        ' scope="row"' if tag == "th" else "",
        f' class="{css}"' if css else "",
        f' data-v="{escape(text.clean(str(key)))}"' if sortable and key is not None else "",
    )
    return Markup(f"<{tag}{''.join(attributes)}>{escape(text.clean(cell.text))}</{tag}>")  # noqa: S704


def _finalize(value: Any) -> Any:
    """Clean whatever text a template writes; markup is ours already."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return text.clean(value)
    return value


def policy(css: str, script: str) -> str:
    """What the page may do: show its own style sheet and run its own script, and nothing else."""
    rules = (
        "default-src 'none'",
        f"style-src '{_hash(css)}'",
        f"script-src '{_hash(script)}'",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
