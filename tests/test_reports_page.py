"""The page: complete, self-contained, inert whatever the run holds, and small."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import random
import re
from functools import cache
from html.parser import HTMLParser
from typing import Any, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.results.machine import Environment, Floor
from benchmarks.results.observed import Memory
from benchmarks.results.records import Case, ColdStart, Matchup, Run, Status
from benchmarks.results.stored.codec import read_run, to_json
from benchmarks.results.wording import ABSENT, TIMES
from docs.generated import PUBLIC_RUN
from reports.contents import sections
from reports.pages import html, markdown
from reports.runs.load import load_run
from tests import report_samples as samples

VOID = {"meta", "input", "br"}
MIB = 2**20


class Page(HTMLParser):
    """What a browser would see: elements with attributes, text by element, balanced tags."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.raw: dict[str, list[str]] = {"style": [], "script": []}
        self.words: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in self.raw:
            self.raw[tag].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]][-1] += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def check_inert(source: str) -> Page:
    """Asserts what holds for every page; returns it parsed."""
    page = Page(source)
    assert page.open == []
    assert [attrs.get("type") for attrs in page.all("script")] == ["application/json", None]
    assert len(page.all("style")) == 1
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"img", "iframe", "object", "embed", "link", "base", "form", "image"}
    for tag, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on") or name == "style"], tag
        assert not set(attrs) & {"src", "srcset", "action", "formaction", "data"}, tag
        assert (attrs.get("href") or "#").startswith("#"), tag
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a) or ""
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == _digest(page.raw["style"][0])
    assert rules["script-src"] == _digest(page.raw["script"][1])
    assert "unsafe" not in policy
    assert not re.search(r"https?:|url\(\s*[^#]|@import", page.raw["style"][0])
    json.loads(page.raw["script"][0])
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {(a["href"] or "")[1:] for _, a in page.elements if "href" in a}
    assert targets <= set(ids)
    return page


@cache
def failing_page() -> str:
    """The page of a run that failed in every way."""
    return html.render(samples.failing_run())


@cache
def small_page() -> str:
    """The page of a run of one matchup and a cold start."""
    return html.render(samples.healthy_run(("mlp",), ("forward",)))


def test_the_first_screen_answers_before_anything_else() -> None:
    run = samples.healthy_run()
    source = html.render(run)
    page = check_inert(source)
    assert "On this machine, of 30 comparable matchups: torch-eager faster in" in page.text
    for words in ("AMD EPYC 7B13", "2 cores", "no GPU", "none: no NVIDIA driver", "torch 2.15.0"):
        assert words in page.text
    assert page.text.index("120 of 120 cases valid") < page.text.index("On this machine")
    grid, chart, cases = (source.index(x) for x in ('class="grid"', "<svg", 'id="cases"'))
    assert grid < chart < cases


def test_every_part_of_a_run_has_its_place() -> None:
    run, page = samples.failing_run(), check_inert(failing_page())
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    assert ids >= {
        *("cases", "distributions", "cold-start", "memory", "learned", "withheld"),
        *("environment", "proofs", "method", "again"),
    }
    for words in (
        "python -m benchmarks run --models 'mlp, cnn' --effort quick",
        "memory layout",
        "NCHW against NHWC",
        "9.7e-15",
        "9f86d081884c7d65",
        f"torch {TIMES.join(('8', '256', '14', '14'))} against tensorflow 8",
        "output at layer3.conv1",
        "SIGSEGV",
        "<b>MemoryError</b> \\x1b[31mred",
        'File "phase.py", line 12 in step',
        "86.2 %",
        "dropout is compared switched off",
    ):
        assert " ".join(words.split()) in page.text, words
    for result in run.matchups:
        for case in result.cases:
            assert case.status == "ok" or case.id in page.text


def test_every_table_has_headings_with_a_scope_and_a_caption() -> None:
    page = check_inert(failing_page())
    assert all(attrs.get("scope") in {"row", "col"} for attrs in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) > 5


def test_cells_sort_by_numbers_and_absence_sorts_by_nothing() -> None:
    source = failing_page()
    rows = re.findall(r"<tr>(.*?)</tr>", source[source.index('id="cases"') :], re.DOTALL)
    crashed = next(row for row in rows if ">crash<" in row)
    assert crashed.count('class="num"') == crashed.count(">\N{EN DASH}<") == 6
    assert all(
        "data-v" not in cell for cell in re.findall(f'<td class="num"[^>]*>{ABSENT}', crashed)
    )
    assert re.search(r'data-v="0\.0\d+">20\.\d ms<', source)


def test_hostile_text_stays_text() -> None:
    source = html.render(samples.hostile_run())
    page = check_inert(source)
    assert "</script><img src=x onerror=alert(1)>" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "right\\u202eleft" in page.text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ud800]", source)
    source.encode()


CLOSED = {"state", "status", "verdict", "bound", "cache"}
"""Fields that hold one of a few words: a run that has another one there is refused."""


def _marked(data: Any, field: str = "") -> Any:
    """A run as plain data, with a tag before each of its texts."""
    if isinstance(data, str):
        return data if field in CLOSED else f"<img src=x>{data}"
    if isinstance(data, dict):
        return {key: _marked(value, key) for key, value in data.items()}
    return [_marked(value, field) for value in data] if isinstance(data, list) else data


def test_no_text_that_a_run_holds_is_markup() -> None:
    public = load_run(PUBLIC_RUN)
    profiled = tuple(r for r in public.matchups if r.profile)[:1]
    assert all(case.telemetry and case.settings for r in profiled for case in r.cases)
    for run in (samples.failing_run(), dataclasses.replace(public, matchups=profiled)):
        source = html.render(read_run(_marked(to_json(run))))
        check_inert(source)
        assert source.count("&lt;img src=x&gt;") > 100
    assert "policy &lt;img src=x&gt;" in source  # of the settings of a case


def test_a_large_run_stays_small_and_its_samples_are_thinned() -> None:
    run = samples.large_run(200)
    source = html.render(run)
    assert len(source.encode()) < 5 * MIB
    page = check_inert(source)
    stored = json.loads(page.raw["script"][0])
    assert len(stored) == 200
    assert {sum(map(len, launches)) for launches in stored.values()} == {
        196
    }  # 28 of each of 7 launches
    first = run.matchups[0].cases[0]
    assert stored[first.id][0][0] == float(f"{first.launches[0].samples_s[0]:.5g}")


def test_a_page_is_the_same_every_time() -> None:
    run = samples.healthy_run(("mlp",), ("forward", "epoch"))
    assert html.render(run) == html.render(run)


def test_a_bare_run_still_makes_a_page() -> None:
    page = check_inert(html.render(samples.run((), environment=Environment(), aa_floor=Floor())))
    assert "This run holds no matchup." in page.text
    assert "processor unknown" in page.text


def test_payback_is_the_extra_cold_start_over_the_gain_per_step() -> None:
    cold = Matchup(model="m", phase="cold_start", batch=8)
    steps = Matchup(model="m", phase="train_step", batch=8)
    rng = random.Random(0)  # noqa: S311  plausible times, no secrets

    def case(matchup: Matchup, stack: str, seconds: float) -> Case:
        start = ColdStart(launch=0, cache="empty", import_s=1.0, build_s=1.0, first_step_s=seconds)
        made = samples.case(matchup, stack, rng, 1.0, cold_starts=(start,))
        launch = dataclasses.replace(made.launches[0], samples_s=(seconds,) * 3)
        return dataclasses.replace(made, launches=(launch,))

    cold_cases = (case(cold, "torch-eager", 1.0), case(cold, "torch-compile", 31.0))
    result = samples.result(cold, cold_cases)

    def words(eager_s: float, compiled_s: float) -> str:
        timed = (case(steps, "torch-eager", eager_s), case(steps, "torch-compile", compiled_s))
        run = samples.run((result, samples.result(steps, timed)))
        return sections.payback(run, result, cold_cases[1])

    assert words(0.2, 0.1) == "after about 300 training steps, against torch-eager"
    assert words(0.1, 0.2) == "never: a step is no faster than with torch-eager"
    assert sections.payback(samples.run((result,)), result, cold_cases[1]) == ""
    assert sections.payback(samples.run((result,)), result, cold_cases[0]) == ""


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Any combination of statuses, stacks and proofs in up to three matchups."""
    rng = random.Random(0)  # noqa: S311  plausible times, no secrets
    results = []
    for i in range(draw(st.integers(0, 3))):
        phase = draw(st.sampled_from(["forward", "epoch", "custom"]))
        matchup = Matchup(model=f"m{i}", phase=phase, batch=draw(st.integers(1, 2)))
        chosen = draw(st.lists(st.sampled_from(samples.STACKS), unique=True))
        cases = []
        for stack in chosen:
            status = draw(st.sampled_from(get_args(Status)))
            made = samples.case(
                matchup, stack, rng, 0.01, status=status, reason=draw(st.none() | st.text())
            )
            keep = status == "ok" or draw(st.booleans())
            cases.append(made if keep else dataclasses.replace(made, launches=(), memory=Memory()))
        proof = samples.parity(status=draw(st.sampled_from(["proven", "failed", "partial"])))
        result = samples.result(matchup, tuple(cases), proof)
        results.append(result if draw(st.booleans()) else dataclasses.replace(result, parity=None))
    return samples.run(tuple(results))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(runs())
def test_any_combination_of_statuses_makes_a_whole_page(run: Run) -> None:
    source = html.render(run)
    page = check_inert(source)
    assert len(source.encode()) < 5 * MIB
    for result in run.matchups:
        for case in result.cases:
            assert case.status == "ok" or case.id in page.text
    assert len(markdown.render(run)) < markdown.MAX_CHARACTERS


def test_a_page_has_rules_for_paper() -> None:
    page = check_inert(small_page())
    printed = page.raw["style"][0].partition("@media print{")[2]
    assert ".controls" in printed or "nav" in printed  # what cannot be used on paper is not there


def test_no_picture_is_loaded_by_a_page_not_even_from_itself() -> None:
    page = check_inert(small_page())
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a) or ""
    assert "img-src" not in policy
    assert "data:" not in policy
