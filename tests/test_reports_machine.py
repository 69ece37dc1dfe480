"""What disturbed a run is told with what it did to the turns it hit."""

from __future__ import annotations

from typing import Any

import pytest

from reports import html, machine
from reports.text import TIMES
from tests import report_samples as samples

TOLD: dict[str, Any] = {
    "rounds": 20,
    "repeated": 4,
    "busy_launches": 0,
    "turns": 80,
    "disturbed": {
        "slow": {"turns": 5, "times_as_long": 1.234},
        "taken": {"turns": 1, "times_as_long": None},
    },
    "gate_share": 0.0123,
}


def test_a_disturbed_run_says_by_what_how_often_and_how_much() -> None:
    assert machine.watching(samples.run((), interference=TOLD)) == (
        f"4 of 20 rounds taken again · a slow core in 5 of 80 turns (1.23{TIMES} as long as those"
        " left alone) · others on the cores in 1 of 80 turns · watching cost 1.2 % of a turn"
    )


def test_a_run_without_such_counts_says_what_it_has() -> None:
    older = {"rounds": 20, "repeated": 0, "busy_launches": 0, "gate_share": None}
    assert machine.watching(samples.run((), interference=older)) == "0 of 20 rounds taken again"
    assert machine.watching(samples.run(())) == ""


@pytest.mark.parametrize(
    "odd",
    [
        5,
        {"slow": 5},
        {"slow": {}},
        {"slow": {"turns": "<img src=x>", "times_as_long": "</script>"}},
        {"<img src=x>": {"turns": 1}},
    ],
)
def test_whatever_a_file_holds_the_page_is_whole(odd: Any) -> None:
    page = html.render(samples.run((), interference=TOLD | {"disturbed": odd}))
    assert "<img src=x" not in page
    assert page.rstrip().endswith("</html>")
