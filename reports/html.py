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
from markupsafe import Markup

from reports import (
    charts,
    engines,
    forest,
    machine,
    palette,
    roofline,
    sections,
    svg,
    telemetry,
    text,
    verdicts,
    why,
)
from reports.palette import look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from matplotlib.figure import Figure

    from benchmarks.results.records import MatchupResult, Run
    from reports.verdicts import Outcome, Pair

TEMPLATES = Path(__file__).parent / "templates"
MAX_FIGURES = 100
EXITS = {
    0: "complete",
    1: "regression",
    3: "incomplete: a case failed",
    4: "a proof failed",
    130: "interrupted",
}


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
    course: Markup | None
    missing: tuple[str, ...]


def render(run: Run) -> str:
    """The page, self-contained."""
    css = _style()
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    page: str = (
        _environment()
        .get_template("report.html")
        .render(
            run=run,
            policy=_policy(css, script),
            css=Markup(css),  # noqa: S704  our own file
            script=Markup(script),  # noqa: S704  our own file
            exit_words=EXITS.get(run.exit, f"exit {run.exit}"),
            command=shlex.join(run.command),
            panels=_panels(run, verdicts.pairs(run)),
            other_panels=_panels(run, verdicts.other_pairs(run)),
            details=_details(run),
            **_facts(run),
            **_figures(run),
        )
    )
    return page


def _style() -> str:
    light, dark = (f":root{{{palette.variables(c)}}}" for c in (palette.light(), palette.dark()))
    rules = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    themes = f"{light}\n@media screen and (prefers-color-scheme:dark){{{dark}}}"
    return f"{themes}\n{rules}\n{palette.rules()}\n"


def _facts(run: Run) -> dict[str, Any]:
    floor = run.aa_floor.value
    return {
        "validity": (*verdicts.validity(run), *machine.fairness_words(run)),
        "withheld": verdicts.withheld(run),
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
        "explanations": why.explanations(run),
        "profiled": why.stacks(run),
        "unexplained": why.remarks(run),
        "roofline": roofline.table(run),
        "engines": engines.costs(run),
        "samples": sections.samples(run),
        "max_samples": sections.sample_limit(run),
        "floor": text.share(floor) if isinstance(floor, float) else None,
        "ceiling": machine.ceiling(run),
        "watching": machine.watching(run),
        "telemetry_cost": telemetry.cost(run),
        "floor_how": run.aa_floor.how,
        "max_figures": MAX_FIGURES,
    }


def _figures(run: Run) -> dict[str, Markup | None]:
    drawn = {
        "forest": (forest.forest(run), "Ratio and 95 % interval of every matchup"),
        "cold_chart": (charts.cold_start(run), "Import, build and first step of every stack"),
        "memory_chart": (charts.memory(run), "Peak resident memory of every case"),
        "why_chart": (why.chart(run), "Time of a step by category, stack beside stack"),
        "roofline_chart": (roofline.chart(run), "Every case under the roofs of the device"),
        "device_chart": (
            charts.memory(run, "device_peak_bytes"),
            "Peak of the device's allocator in every case",
        ),
    }
    return {key: _inline(figure, key, label) for key, (figure, label) in drawn.items()}


def _inline(figure: Figure | None, key: str, label: str) -> Markup | None:
    if figure is None:
        return None
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
    range_ = text.interval(low, high)
    if outcome.winner is None:
        note = f"{text.factor(ratio)} {range_}"
        return Mark("=", "no call", note, "nocall", tag, title, target)
    drawn = look(outcome.winner)
    head = f"{short(outcome.pair, outcome.winner)} {text.times(ratio)}"
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
        figure = charts.distributions(result, limit) if i < MAX_FIGURES else None
        course = telemetry.over_time([result]) if i < MAX_FIGURES else None
        matchup = result.matchup
        title = text.items([matchup.model, matchup.phase, verdicts.conditions(matchup)])
        label = f"Samples of every stack in {title}"
        details.append(
            Detail(
                f"m{i}",
                title,
                _inline(figure, f"m{i}", label),
                _spoken(run, result),
                [(c.stack, _settings(c.settings)) for c in result.cases if c.settings],
                [
                    f"{c.stack}, launch {launch.index}"
                    for c in result.cases
                    for launch in c.launches
                    if not launch.steady
                ],
                telemetry.table(result),
                _inline(course, f"t{i}", f"Utilisation and memory over time in {title}"),
                telemetry.missing(result),
            )
        )
    return details


def _spoken(run: Run, result: MatchupResult) -> list[tuple[str, str]]:
    """Per pair the outcome in words, and what it rests on."""
    pairs = (*verdicts.pairs(run), *verdicts.other_pairs(run))
    found = ((pair, verdicts.outcome(result, pair)) for pair in pairs)
    spoken = []
    for pair, outcome in found:
        if outcome is not None:
            basis = ""
            if outcome.word != "not comparable":
                launches = text.plural(outcome.launches, "launch").replace("launchs", "launches")
                basis = text.items(
                    [launches, f"margin {text.share(outcome.margin)}", outcome.reason or ""]
                )
            spoken.append((f"{pair}: {outcome.phrase}", basis))
    return spoken


def _settings(settings: dict[str, Any]) -> str:
    return text.items(f"{key} {value}" for key, value in settings.items())


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "tail": text.tail,
        "error": text.error,
        "elapsed": text.elapsed,
        "moment": text.moment,
        "whole": text.whole,
        "quantity": text.quantity,
    }
    environment.filters.update(filters)
    return environment


def _finalize(value: Any) -> Any:
    """Clean whatever text a template writes; markup is ours already."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return text.clean(value)
    return value


def _policy(css: str, script: str) -> str:
    rules = (
        "default-src 'none'",
        f"style-src '{_hash(css)}'",
        f"script-src '{_hash(script)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
