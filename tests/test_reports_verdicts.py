"""The words of a run: counts, phrases, and nothing withheld without its reason."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from benchmarks.results import wording
from benchmarks.results.records import Finding, Matchup, MatchupResult, Verdict
from reports.contents import text, verdicts
from reports.contents.verdicts import COMPILED, HEADLINE, Pair
from reports.pages import markdown
from tests import report_samples as samples


def _verdict(**changes: Any) -> Verdict:
    made = Verdict(
        a="torch-eager",
        b="tensorflow-graph",
        ratio=1.25,
        ci95=(1.2, 1.3),
        launches=7,
        margin=0.02,
        verdict="faster",
    )
    return dataclasses.replace(made, **changes)


def _result(verdict: Verdict, phase: str = "forward", **changes: Any) -> MatchupResult:
    matchup = Matchup(model="mlp", phase=phase, batch=8)
    made = MatchupResult(matchup=matchup, parity=samples.parity(), cases=(), verdicts=(verdict,))
    return dataclasses.replace(made, **changes)


def _phrase(**changes: Any) -> str:
    found = verdicts.outcome(_result(_verdict(**changes)), HEADLINE)
    assert found is not None
    return found.phrase


def test_a_ratio_above_one_favours_a() -> None:
    assert _phrase() == "torch-eager 1.25× faster than tensorflow-graph [1.20–1.30]"


def test_a_ratio_below_one_is_turned_round_with_its_interval() -> None:
    words = _phrase(ratio=0.8, ci95=(0.5, 0.9), verdict="slower")
    assert words == "tensorflow-graph 1.25× faster than torch-eager [1.11–2.00]"


def test_no_call_names_no_winner() -> None:
    words = _phrase(ratio=0.99, ci95=(0.95, 1.03), verdict="no call")
    assert words == "torch-eager against tensorflow-graph: no call, 0.99× [0.95–1.03]"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdict": "not comparable", "reason": "the batch differs"}, "the batch differs"),
        ({"verdict": "not comparable"}, "no reason was recorded"),
        ({"ratio": None}, "no usable ratio"),
        ({"ci95": None}, "no usable ratio"),
        ({"ci95": (1.2,)}, "no usable ratio"),
        ({"ratio": math.nan}, "no usable ratio"),
        ({"ratio": 0.0}, "no usable ratio"),
        ({"ratio": -1.25}, "no usable ratio"),
        ({"ratio": 0.9}, "contradicts itself"),
        ({"verdict": "slower"}, "contradicts itself"),
    ],
)
def test_a_verdict_that_cannot_be_shown_is_withheld(changes: dict[str, Any], words: str) -> None:
    withheld = "torch-eager against tensorflow-graph: not comparable: "
    assert _phrase(**changes).startswith(withheld)
    assert words in _phrase(**changes)


def test_a_failed_proof_or_case_withholds_a_verdict_that_was_stored() -> None:
    result = samples.healthy_run(("mlp",), ("forward",)).matchups[0]
    wrong = dataclasses.replace(result, parity=samples.parity(status="failed", reason="output"))
    found = verdicts.outcome(wrong, HEADLINE)
    assert found is not None
    assert found.reason == "twins not proven: output"
    bad = dataclasses.replace(result.cases[0], status="timeout", reason="600 s")
    late = dataclasses.replace(result, cases=(bad, *result.cases[1:]))
    found = verdicts.outcome(late, HEADLINE)
    assert found is not None
    assert found.reason == "torch-eager: timeout: 600 s"
    other = verdicts.outcome(late, COMPILED)
    assert other is not None
    assert other.word != "not comparable"


def test_the_summary_counts_each_word_once() -> None:
    given = [_verdict()] * 3 + [_verdict(ratio=0.5, ci95=(0.4, 0.6), verdict="slower")] * 2
    given += [_verdict(ratio=1.0, ci95=(0.9, 1.1), verdict="no call")]
    given += [_verdict(verdict="not comparable", reason="x")] * 4
    run = samples.run(tuple(_result(v, phase=f"phase{i}") for i, v in enumerate(given)))
    assert verdicts.summary(run, HEADLINE) == (
        "On this machine, of 6 comparable matchups: torch-eager faster in 3, "
        "tensorflow-graph faster in 2, no call in 1."
    )
    assert "6 of 10 comparisons stand" in verdicts.validity(run)
    assert sum(w.reason == "x" for w in verdicts.withheld(run)) == 4


def test_a_cold_start_that_was_measured_once_is_not_counted() -> None:
    once = _verdict(ratio=2.0, ci95=None, verdict="no call", launches=1)
    more = _verdict(ratio=2.0, ci95=(1.9, 2.1), launches=3)
    said = {
        launches: verdicts.summary(
            samples.run((_result(_verdict(), phase="forward"), _result(cold, phase="cold_start"))),
            HEADLINE,
        )
        for launches, cold in ((1, once), (3, more))
    }
    assert said[1] == (
        "On this machine, of 1 comparable matchup: torch-eager faster in 1, "
        "tensorflow-graph faster in 0, no call in 0."
        " Cold starts were measured once and are not counted."
    )
    assert "of 2 comparable matchups: torch-eager faster in 2" in said[3]
    assert "Cold starts" not in said[3]


def test_the_summary_of_nothing_comparable_claims_nothing() -> None:
    run = samples.run((_result(_verdict(verdict="not comparable", reason="x")),))
    assert verdicts.summary(run, HEADLINE) == (
        "On this machine no matchup of torch-eager against tensorflow-graph is comparable."
    )


def test_pairs_come_from_the_run_headline_first() -> None:
    other = Pair("jax-xla", "torch-compile")
    made = (_verdict(a=other.a, b=other.b), _verdict(a=COMPILED.a, b=COMPILED.b), _verdict())
    run = samples.run((_result(made[0], verdicts=made),))
    assert verdicts.pairs(run) == (HEADLINE, COMPILED)
    assert verdicts.other_pairs(run) == (other,)
    assert verdicts.pairs(samples.run((_result(made[0], verdicts=(made[0],)),))) == (other,)
    assert verdicts.pairs(samples.run(())) == ()


def test_one_launch_is_shown_without_an_interval_and_called_by_nobody() -> None:
    run = samples.run((_result(_verdict(ratio=1.25, ci95=None, verdict="no call", launches=1)),))
    (found,) = verdicts.outcomes(run, HEADLINE)
    assert (found.word, found.winner, found.ratio) == ("no call", None, 1.25)
    assert found.phrase.endswith(": no call, 1.25× [no interval]")


def test_the_grid_is_model_by_phase() -> None:
    run = samples.failing_run()
    grid = verdicts.grid(run, HEADLINE)
    assert grid.phases == (*samples.PHASES, "cold_start")
    by_model = {row.model: row for row in grid.rows}
    assert [len(cell) for cell in by_model["mlp"].cells] == [1] * 6
    crash = by_model["broken_crash"].cells
    assert [len(cell) for cell in crash] == [0, 0, 1, 0, 0, 0]
    assert crash[2][0].reason == "tensorflow-graph: crash: what crash says"
    assert "twins not proven" in by_model["unequal"].cells[0][0].phrase
    assert "broken_crash" not in {row.model for row in verdicts.grid(run, COMPILED).rows}


def test_what_must_not_be_mixed_gets_its_own_row_or_entry() -> None:
    verdict = _verdict()
    made = [
        Matchup(model="mlp", phase="forward", batch=8),
        Matchup(model="mlp", phase="forward", batch=32),
        Matchup(model="mlp", phase="forward", batch=8, policy="best"),
        Matchup(model="mlp", phase="forward", batch=8, device="cuda"),
    ]
    run = samples.run(tuple(_result(verdict, matchup=m) for m in made))
    rows = verdicts.grid(run, HEADLINE).rows
    assert [(row.detail, len(row.cells[0])) for row in rows] == [
        ("cpu · matched", 2),
        ("cpu · best · batch 8", 1),
        ("cuda · matched · batch 8", 1),
    ]


def test_validity_counts_statuses_and_proofs() -> None:
    parts = verdicts.validity(samples.failing_run())
    assert parts[0] == "56 of 64 cases valid"
    assert "1 oom_host" in parts
    assert "10 of 11 models proven identical (unequal failed)" in parts
    assert "24 of 34 comparisons stand" in parts


def test_a_few_failures_are_named_at_once() -> None:
    healthy = samples.healthy_run(("mlp",), ("forward",)).matchups[0]
    bad = dataclasses.replace(healthy.cases[0], status="oom_host", reason="15.1 of 16 GiB")
    result = dataclasses.replace(healthy, cases=(bad, *healthy.cases[1:]))
    parts = verdicts.validity(samples.run((result,)))
    assert parts[:2] == ("3 of 4 cases valid", f"1 oom_host ({bad.id})")


def test_everything_withheld_is_named_with_its_reason() -> None:
    run = samples.failing_run()
    named = dict(verdicts.withheld(run))
    for result in run.matchups:
        for case in result.cases:
            assert (case.id in named) == (case.status != "ok")
    assert named["broken_timeout.train_step.b8.float32.cpu.tensorflow-graph"] == (
        "timeout: what timeout says"
    )
    assert "output differs" in named["unequal.forward.b8.float32.cpu"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "\N{EN DASH}"),
        (math.nan, "\N{EN DASH}"),
        (12.345, "12.3 s"),
        (0.9996, "1000 ms"),
        (0.0012344, "1.23 ms"),
        (3.1e-7, "310 ns"),
        (1234.0, "1234 s"),
    ],
)
def test_durations_have_three_digits_and_a_unit(value: float | None, words: str) -> None:
    assert wording.duration(value) == words


def test_other_figures_are_written_with_their_units() -> None:
    assert text.size(1.5 * 2**30) == "1.50 GiB"
    assert text.quantity(4.1e9, "FLOP/s") == "4.10 GFLOP/s"
    assert text.elapsed(1834.2) == "30 min 34 s"
    assert text.moment("2026-11-21T07:02:13Z") == "2026-11-21 07:02 UTC"
    assert text.moment("yesterday") == "yesterday"
    assert (wording.factor(1.234), wording.factor(0.951), wording.factor(12.34)) == (
        "1.23",
        "0.95",
        "12.3",
    )


def test_unsafe_characters_become_visible_escapes() -> None:
    assert text.clean("a\u202eb\x1b[31m\x00\ud800\n") == "a\\u202eb\\x1b[31m\\x00\\ud800\n"
    assert text.clean("µ 模") == "µ 模"
    assert len(text.name("n" * 300)) == 60


def test_findings_stand_below_the_verdicts_that_they_touch_with_their_error() -> None:
    gelu = Finding(name="gelu", text="Keras' GELU rounds the square root of 2", error=4e-9)
    bias = Finding(name="second_bias", text="a second bias is held at zero")
    results = [
        dataclasses.replace(
            _result(_verdict(), phase, parity=samples.parity(findings=(gelu, bias))),
            matchup=Matchup(model=model, phase=phase, batch=8),
        )
        for model in ("mlp", "cnn")
        for phase in ("forward", "train_step")
    ]
    without = _result(_verdict(), parity=samples.parity())
    without = dataclasses.replace(without, matchup=Matchup(model="bare", phase="forward", batch=8))
    run = samples.run((*results, without))
    rows = {row.model: row.findings for row in verdicts.grid(run, HEADLINE).rows}
    assert rows == {"mlp": (gelu.text, bias.text), "cnn": (gelu.text, bias.text), "bare": ()}
    lines = markdown.render(run).splitlines()
    first = lines.index("What the proofs found that touches these verdicts:")
    assert lines[first + 1 : first + 5] == [
        "",
        "- mlp, cnn: Keras' GELU rounds the square root of 2 (relative error 4.0e-09)",
        "- mlp, cnn: a second bias is held at zero",
        "",
    ]
    assert lines[first - 2].startswith("| bare")
    assert "proofs found" not in markdown.render(samples.run((without,)))
