"""What disturbed a run is told with what it did to the turns it hit."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.results.observed import Disturbances, Disturbed
from benchmarks.results.wording import TIMES
from reports.contents import machine
from reports.pages import html
from tests import report_samples as samples

TOLD = Disturbances(
    rounds=20,
    repeated=4,
    turns=80,
    disturbed={"slow": Disturbed(turns=5, times_as_long=1.234), "taken": Disturbed(turns=1)},
    gate_share=0.0123,
)


def test_a_disturbed_run_says_by_what_how_often_and_how_much() -> None:
    assert machine.watching(samples.run((), interference=TOLD)) == (
        f"4 of 20 rounds taken again · a slow core in 5 of 80 turns (1.23{TIMES} as long as those"
        " left alone) · others on the cores in 1 of 80 turns · watching cost 1.2 % of a turn"
    )


def test_a_run_without_such_counts_says_what_it_has() -> None:
    older = Disturbances(rounds=20)
    assert machine.watching(samples.run((), interference=older)) == "0 of 20 rounds taken again"
    assert machine.watching(samples.run(())) == ""


def test_a_cause_that_nobody_knows_is_shown_as_text() -> None:
    odd = replace(TOLD, disturbed={"<img src=x>": Disturbed(turns=1)})
    page = html.render(samples.run((), interference=odd))
    assert "<img src=x" not in page
    assert page.rstrip().endswith("</html>")
