"""More launches go where intervals are widest; stopping on a width keeps most of the coverage."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import stdev
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.measure import engine, stopping
from benchmarks.measure.engine import Purse
from benchmarks.measure.stopping import half_width, widest
from benchmarks.request import plan
from benchmarks.request.plan import Group
from benchmarks.request.selection import MOST, Selection
from benchmarks.results.records import Matchup, MatchupResult, Verdict, VerdictWord
from benchmarks.results.statistics import estimate
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
    return Group(
        model=matchups[0].model, task=made.task, size=made.size, stacks=(), matchups=matchups
    )


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
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline = Pipeline(monkeypatch, tmp_path)
    monkeypatch.setattr(stopping, "MOST", 5)
    with monkeypatch.context() as patched:  # two launches of a busy machine may be far apart
        patched.setattr(engine, "widest", lambda g, r, made, _: widest(g, r, made, math.inf))
        done = pipeline.run("--phases", "forward", "--until-ci", "99%")
    case = done.case("forward", "null-a")
    assert len(case.launches) == SHORT["quick"].launches
    done = pipeline.run("--phases", "forward", "--until-ci", "0.0001%")
    launches = [launch.index for launch in done.case("forward", "null-b").launches]
    assert launches == list(range(5))
    assert done.run.command[-2:] == ("--until-ci", "0.0001%")


def test_a_budget_ends_a_run_and_two_launches_are_always_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline = Pipeline(monkeypatch, tmp_path)
    args = ("--phases", "forward", "--effort", "standard")
    done = pipeline.run(*args, "--budget", "0.1s")
    assert len(done.case("forward", "null-a").launches) == engine.FEWEST
    assert done.code == 0
    monkeypatch.setattr(stopping, "TARGET", 1e-9)
    monkeypatch.setattr(engine, "TARGET", 1e-9)
    done = pipeline.run("--phases", "forward", "--budget", "8s")
    assert len(done.case("forward", "null-a").launches) > SHORT["quick"].launches
    assert done.run.seconds < 30


def test_what_a_launch_took_is_what_the_next_one_costs() -> None:
    assert Purse(None, 100.0, 0.0).allows(group(FORWARD))
    assert Purse(1.0, 2.0, 0.0).limited is not False
    spent = Purse(1e9, 0.0, 0.0)
    with spent.paying(group(FORWARD)):
        pass
    assert spent.allows(group(FORWARD))


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
