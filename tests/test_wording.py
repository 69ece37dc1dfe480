"""One wording: console, page, Markdown and pytest say the same of a run."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from rich.console import Console

from benchmarks import bench_twins
from benchmarks.measure.progress import Telling
from benchmarks.measure.session import Event, Session
from benchmarks.replay import Measured
from benchmarks.results import statistics, wording
from benchmarks.results.records import Cause, MatchupResult, Run, Verdict
from reports.pages import html, markdown
from tests import report_samples as samples
from tests.test_reports_page import Page

CAUSE = Cause(where="norm1", cause="epsilon differs", torch="1e-5", keras="1e-3", fix="eps=1e-3")


def _run() -> Run:
    """A run with a verdict of every kind, as a run itself gives it, and a proof that failed."""
    found = samples.failing_run().matchups
    crashed = next(r for r in found if r.matchup.model == "broken_crash")
    unequal = next(r for r in found if r.matchup.model == "unequal")
    assert unequal.parity
    unequal = replace(unequal, parity=replace(unequal.parity, diagnosis=(CAUSE,)))
    judged = [replace(r, verdicts=_verdicts(r)) for r in (*found[:5], crashed)]
    return samples.run((*judged, unequal))


def _verdicts(result: MatchupResult) -> tuple[Verdict, ...]:
    pairs = itertools.combinations(result.cases, 2)
    return tuple(statistics.compare(a, b, 0.02) for a, b in pairs)


def _console(run: Run) -> str:
    """What a person reads of a run at a console, and beside pytest, which tells by the same."""
    console = Console(file=io.StringIO(), width=80)
    proofs = {r.matchup.model: r.parity for r in run.matchups}
    groups = [
        SimpleNamespace(
            name=model, matchups=[r.matchup for r in run.matchups if r.matchup.model == model]
        )
        for model in proofs
    ]
    told = SimpleNamespace(
        run=lambda: run,
        ledger=SimpleNamespace(proofs=proofs),
        plan=SimpleNamespace(groups=groups),
    )
    session = cast("Session", told)
    for model in proofs:
        for kind in ("proof", "concluded"):
            Telling(console).told(Event(kind, {"model": model}), session)
    return cast("io.StringIO", console.file).getvalue()


def _pytest(run: Run, case_id: str) -> str:
    """What pytest says of a case that failed."""
    with pytest.raises(pytest.fail.Exception) as told:
        bench_twins.test_case(
            cast("pytest.FixtureRequest", None), case_id, Measured(run=run, folder=Path())
        )
    return str(told.value)


def test_console_page_and_markdown_say_the_same_of_a_verdict() -> None:
    run = _run()
    console, page, text = _console(run), Page(html.render(run)).text, markdown.render(run)
    said = [wording.verdict_phrase(v) for r in run.matchups for v in wording.headline(r)]
    for kind in ("faster than", "no call,", "not comparable:"):
        assert any(kind in words for words in said), kind
    for words in said:
        assert words in console
        assert words in page
        assert markdown.escape(words) in text


def test_all_four_say_the_same_of_a_case_that_failed() -> None:
    run = _run()
    (case,) = (c for r in run.matchups for c in r.cases if c.status == "crash")
    words = _pytest(run, case.id)
    assert words == "crash: what crash says"
    assert f"{case.stack}: {words}" in _console(run)
    assert f"{case.id} {words}" in Page(html.render(run)).text
    assert markdown.escape(f"{case.id}: {words}") in markdown.render(run)


def test_console_and_page_say_the_same_of_a_proof_and_its_causes() -> None:
    run = _run()
    console, page = _console(run), Page(html.render(run)).text
    for result in run.matchups:
        assert result.parity
        line = wording.proof_line(result.matchup.model, result.parity)
        assert line in console
        assert line in page
    for part in wording.cause_parts(CAUSE):
        assert part in console
    assert "; ".join(wording.cause_parts(CAUSE)) in page
