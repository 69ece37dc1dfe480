"""What is said of Keras and of engines: from the record alone, whichever way round it stands."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from benchmarks.results.records import Case, Matchup, MatchupResult, Verdict, VerdictWord
from reports.contents import engines
from reports.pages import html, markdown
from tests import report_samples as samples

MATCHUP = Matchup(model="mlp", phase="train_step", batch=64)
STACKS = ("torch-eager", "keras_torch-eager", "jax-xla", "tensorflow-graph")


def _cases(*stacks: str, **changes: object) -> tuple[Case, ...]:
    rng = random.Random(1)  # noqa: S311  plausible times, no secrets
    return tuple(samples.case(MATCHUP, stack, rng, 0.01, **changes) for stack in stacks)


def _verdict(a: str, b: str, ratio: float, word: VerdictWord) -> Verdict:
    ends = (ratio * 0.9, ratio * 1.1)
    return Verdict(a=a, b=b, ratio=ratio, ci95=ends, launches=3, margin=0.02, verdict=word)


def _result(*verdicts: Verdict, stacks: tuple[str, ...] = STACKS) -> MatchupResult:
    made = samples.result(MATCHUP, _cases(*stacks))
    return replace(made, verdicts=verdicts)


@pytest.mark.parametrize(
    "recorded",
    [
        _verdict("torch-eager", "keras_torch-eager", 2.0, "faster"),
        _verdict("keras_torch-eager", "torch-eager", 0.5, "slower"),
    ],
)
def test_what_keras_costs_is_the_same_whichever_way_round_it_was_recorded(
    recorded: Verdict,
) -> None:
    found = list(engines.sentences(_result(recorded, stacks=STACKS[:2])))
    assert [what for what, _ in found] == ["Keras"]
    words = found[0][1]
    assert words.startswith("Keras costs 100.0 % over torch on the same engine")
    assert "keras_torch-eager / torch-eager = 2.00 [1.8" in words


def test_no_call_and_a_saving_are_not_called_a_cost() -> None:
    for ratio, word, expected in (
        (1.01, "no call", "no call on what Keras costs"),
        (0.8, "slower", "Keras is no cost: it saves 20.0 %"),
    ):
        recorded = _verdict("torch-eager", "keras_torch-eager", ratio, word)  # type: ignore[arg-type]
        ((_, words),) = engines.sentences(_result(recorded, stacks=STACKS[:2]))
        assert words.startswith(expected)


def test_two_backends_of_keras_differ_by_their_engine() -> None:
    recorded = _verdict("keras_torch-eager", "jax-xla", 0.25, "slower")
    found = dict(engines.sentences(_result(recorded, stacks=STACKS[1:3])))
    assert found == {
        "engine": "under the same Keras, jax-xla 4.00× faster than keras_torch-eager [3.64–4.44]"
    }


def test_every_pair_is_named_and_one_without_a_figure_gives_its_reason() -> None:
    crashed = (*_cases("torch-eager"), *_cases("keras_torch-eager", status="crash", reason="x"))
    result = replace(_result(), cases=crashed)
    assert list(engines.sentences(result)) == [
        (
            "Keras",
            "torch-eager against keras_torch-eager: not comparable: keras_torch-eager: crash: x",
        )
    ]
    assert [what for what, _ in engines.sentences(_result())].count("engine") == 3


def test_a_run_without_keras_on_pytorch_says_nothing_and_one_with_it_shows_it() -> None:
    assert engines.costs(samples.healthy_run(("mlp",), ("forward",))) is None
    result = _result(_verdict("torch-eager", "keras_torch-eager", 2.0, "faster"))
    run = samples.run((result,))
    table = engines.costs(run)
    assert table is not None
    assert len(table.rows) == 4
    assert "Keras costs 100.0 %" in markdown.render(run)
    assert 'id="engines"' in html.render(run)
