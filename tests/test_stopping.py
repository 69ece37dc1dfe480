"""More launches go where a call is near, or intervals are wide; most of the coverage is kept."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from statistics import stdev
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.measure.schedule import left, stopping
from benchmarks.measure.schedule.stopping import half_width, nearest, widest
from benchmarks.request import plan, selection
from benchmarks.request.plan import Group
from benchmarks.request.selection import EFFORTS, MOST, Selection
from benchmarks.results.observed import Interference
from benchmarks.results.records import (
    Case,
    Launch,
    Matchup,
    MatchupResult,
    Verdict,
    VerdictWord,
)
from benchmarks.results.statistics import MIN_MARGIN, Estimate, estimate, judge
from tests.pipeline import SHORT, TINY, Pipeline
from tests.test_statistics import simulate

FORWARD = Matchup(model="m", phase="forward", batch=4)
COLD = Matchup(model="m", phase="cold_start", batch=4)
OTHER = Matchup(model="n", phase="forward", batch=4)


def result(matchup: Matchup, half: float | None, word: VerdictWord = "no call") -> MatchupResult:
    ci95 = None if half is None else (math.exp(-half), math.exp(half))
    verdict = Verdict(
        a="null-a", b="null-b", ratio=1.0, ci95=ci95, launches=3, margin=0.02, verdict=word
    )
    return MatchupResult(matchup=matchup, parity=None, cases=(), verdicts=(verdict,))


def group(*matchups: Matchup) -> Group:
    (made,) = plan.make(
        Selection(models=("mlp",), phases=("forward",), stacks=("torch-eager",))
    ).groups
    model = matchups[0].model
    return replace(made, name=model, model=model, stacks=(), matchups=matchups)


def test_half_a_width_is_that_of_the_log_ratio() -> None:
    assert half_width(result(FORWARD, 0.03).verdicts[0]) == pytest.approx(0.03)
    assert half_width(result(FORWARD, None).verdicts[0]) is None
    assert half_width(result(FORWARD, 0.03, "not comparable").verdicts[0]) is None


def test_the_widest_is_next_until_all_are_narrow_or_have_enough_launches() -> None:
    first, second = group(FORWARD, COLD), group(OTHER)
    results = {FORWARD: result(FORWARD, 0.02), COLD: result(COLD, 9.0), OTHER: result(OTHER, 0.05)}
    found = widest([first, second], results, {}, 0.01)
    assert found is not None
    assert (found.group, found.matchups) == (second, (OTHER,))
    assert found.half == pytest.approx(0.05)
    found = widest([first, second], results, {"n": MOST}, 0.01)
    assert found is not None
    assert found.matchups == (FORWARD,)
    assert widest([first, second], results, {"n": MOST}, 0.02001) is None


@pytest.mark.parametrize("target", [0.02, 0.01])
def test_stopping_on_a_width_of_launches_keeps_most_of_the_coverage(target: float) -> None:
    covered = []
    for logs in simulate(800, MOST, 1.1).tolist():
        found = next(
            e
            for count in range(3, MOST + 1)
            if (e := estimate(logs[:count])).ci95
            and (count == MOST or math.log(e.ci95[1] / e.ci95[0]) / 2 <= target)
        )
        covered.append(found.ci95 is not None and found.ci95[0] <= 1.1 <= found.ci95[1])
    assert 0.90 <= np.mean(covered) <= 0.97


def test_a_run_goes_on_until_its_intervals_are_narrow(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.inside()
    monkeypatch.setattr(stopping, "MOST", 5)
    done = pipeline.run("--phases", "forward", "--until-ci", "99%")
    case = done.case("forward", "null-a")
    assert len(case.launches) == SHORT["quick"].launches
    done = pipeline.run("--phases", "forward", "--until-ci", "0.0001%")
    launches = [launch.index for launch in done.case("forward", "null-b").launches]
    assert launches == list(range(5))
    assert done.run.command[-2:] == ("--until-ci", "0.0001%")


def test_a_budget_ends_a_run_and_two_launches_are_always_made(pipeline: Pipeline) -> None:
    pipeline.inside()
    args = ("--phases", "forward", "--effort", "standard")
    done = pipeline.run(*args, "--budget", "0.1s")
    assert len(done.case("forward", "null-a").launches) == left.FEWEST
    assert done.code == 0


def test_a_default_run_spends_its_budget_where_a_call_is_near(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.inside()
    missing = stopping._missing
    monkeypatch.setattr(selection, "BUDGET_S", 60.0)
    monkeypatch.setattr(stopping, "MOST", MOST)

    def wanting(result: MatchupResult) -> int | None:
        """A call of the train step is 3 launches away; the forward pass has its call."""
        made = len(result.cases[0].launches)
        return {"train_step": 5 - made or None}.get(result.matchup.phase)

    monkeypatch.setattr(stopping, "_missing", wanting)
    done = pipeline.run("--phases", "forward,train_step")
    assert len(done.case("forward", "null-a").launches) == SHORT["quick"].launches
    assert len(done.case("train_step", "null-a").launches) == 5
    monkeypatch.setattr(selection, "BUDGET_S", 0.5)  # in which no further launch fits
    done = pipeline.run("--phases", "forward,train_step")
    assert len(done.case("train_step", "null-a").launches) == left.FEWEST
    monkeypatch.setattr(stopping, "_missing", missing)
    assert Selection().limit_s == 0.5
    for asked in (Selection(launches=2), Selection(effort="release"), Selection(until_ci=0.1)):
        assert asked.limit_s is None
        assert replace(asked, budget_s=9.0).limit_s == 9.0


def _open(ratio: float, half: float, launches: int = 3, **changes: Any) -> MatchupResult:
    ends = ratio * math.exp(-half), ratio * math.exp(half)
    found, margin = Estimate(ratio, ends, launches), changes.pop("margin", 0.02)
    word, _ = judge(found, margin)
    verdict = Verdict(
        a="a", b="b", ratio=ratio, ci95=ends, launches=launches, margin=margin, verdict=word
    )
    return MatchupResult(
        matchup=FORWARD, parity=None, cases=(), verdicts=(replace(verdict, **changes),)
    )


def test_a_call_is_near_where_few_more_launches_are_expected_to_bring_it() -> None:
    assert stopping._missing(_open(1.5, 0.05)) is None  # called
    assert stopping._missing(_open(1.0, 0.01)) is None  # as good as equal
    assert stopping._missing(_open(1.0, 0.01, verdict="not comparable")) is None
    assert stopping._missing(_open(1.1, 0.1)) == 2
    assert stopping._missing(_open(1.1, 0.3)) == 14
    assert stopping._missing(_open(1.1, 0.1, busy=True)) == 1
    noisy = tuple(
        Launch(index=i, samples_s=(1.0,), interference=Interference(busy=True)) for i in range(2)
    )
    cases = (Case(id="a", stack="a", status="ok", launches=noisy),)
    assert stopping._missing(replace(_open(1.1, 0.1, busy=True), cases=cases)) == 3
    far = _open(1.021, 0.3)
    (near,) = nearest([group(FORWARD, COLD)], {FORWARD: _open(1.1, 0.3), COLD: far}, {"m": 3})
    assert near.missing == {FORWARD: 14}
    assert not list(nearest([group(FORWARD)], {FORWARD: far}, {"m": 3}))
    open_ = {FORWARD: _open(1.1, 0.3)}
    assert not list(nearest([group(FORWARD)], open_, {"m": MOST - 9}))


def looked_at(
    ratio: float, sigma: float, margin: float, runs: int, first: int = 3
) -> tuple[float, float]:
    """The shares of runs that called, and that cover the ratio.

    Each looks after its first launches, and after each that is made because a call is near.
    """
    rng, called, covered = np.random.default_rng(7), 0, 0
    for _ in range(runs):
        logs, count = (math.log(ratio) + sigma * rng.standard_normal(MOST)).tolist(), first
        while True:
            found = estimate(logs[:count])
            assert found.ci95
            half = math.log(found.ci95[1] / found.ratio)
            result = _open(found.ratio, half, count, margin=margin)
            if (stopping._missing(result) or MOST) > MOST - count:
                break
            count += 1
        called += result.verdicts[0].verdict != "no call"
        covered += found.ci95[0] <= ratio <= found.ci95[1]
    return called / runs, covered / runs


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_looking_for_calls_makes_few_false_ones_and_more_true_ones(sigma: float) -> None:
    margin = max(0.02, 1.96 * sigma / math.sqrt(3))  # as the A/A floor would have it
    called, covered = looked_at(1.0, sigma, margin, 400)
    assert called <= 0.01
    assert covered >= 0.93
    called, covered = looked_at(1 + 2 * margin, sigma, margin, 200)
    assert called >= 0.5  # at 3 launches alone it is a third of that
    assert covered >= 0.9


def test_at_standard_effort_five_per_cent_are_seen_and_equal_stacks_are_not_called() -> None:
    first = EFFORTS["standard"].launches
    called, _ = looked_at(1.05, 0.02, MIN_MARGIN, 300, first)
    assert called >= 0.95  # at 7 launches alone it is 0.89
    called, covered = looked_at(1.0, 0.02, MIN_MARGIN, 400, first)
    assert called <= 0.01
    assert covered >= 0.93


def test_more_launches_go_to_the_pairs_that_were_asked_for() -> None:
    slower = _open(1.1, 0.1).verdicts[0]
    equal = _open(1.0, 0.01).verdicts[0]
    headline_pair = replace(equal, a="torch-eager", b="tensorflow-graph")
    both = replace(_open(1.0, 0.01), verdicts=(equal, slower))
    assert stopping._missing(both) == 2
    assert stopping._missing(replace(both, verdicts=(headline_pair, slower))) is None


def test_an_effort_without_a_budget_goes_on_where_a_call_is_near(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.inside()
    monkeypatch.setattr(stopping, "MOST", 5)
    monkeypatch.setattr(stopping, "_missing", lambda _: 1)
    args = ("--phases", "forward", "--effort", "standard")
    assert len(pipeline.run(*args).case("forward", "null-a").launches) == 5
    asked = pipeline.run(*args, "--launches", "3")
    assert len(asked.case("forward", "null-a").launches) == 3


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--until-ci", "x", "per cent"),
        ("--until-ci", "0%", "--until-ci"),
        ("--until-ci", "100%", "--until-ci"),
        ("--budget", "soon", "a time"),
        ("--budget", "0", "budget"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_line(
    flag: str, value: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *TINY, "--out", str(tmp_path), flag, value]) == 2
    assert said in capsys.readouterr().err


def test_the_spread_that_is_simulated_is_one_that_takes_launches() -> None:
    logs: list[Any] = simulate(50, MOST, 1.1).tolist()
    assert 0.005 < np.mean([stdev(one) for one in logs]) < 0.05
