"""A stack is compared with itself and with slower copies of it, through the usual pipeline."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.measure.calibration import detection, floor
from benchmarks.request import options, plan
from benchmarks.request.selection import EFFORTS, Selection
from benchmarks.results import wording
from benchmarks.results.machine import Environment, Floor
from benchmarks.results.records import Exit, Matchup, MatchupResult, Run, Stack, Verdict
from benchmarks.results.stored.codec import read_run, to_json
from tests.pipeline import MODELS, REAL, Pipeline

TINY = ("--models-dir", str(MODELS), "--models", "tiny", "--phases", "forward,train_step")


def _verdict(ratio: float | None, *, busy: bool = False) -> Verdict:
    return Verdict(
        a="null-a@a",
        b="null-a@b",
        ratio=ratio,
        ci95=None,
        launches=3,
        margin=0.02,
        verdict="no call",
        busy=busy,
    )


def test_the_floor_is_the_95th_percentile_of_the_distance_from_one() -> None:
    ratios = [math.exp((-1) ** i * i / 100) for i in range(21)]
    found = floor.estimate([_verdict(r) for r in ratios])
    assert found == pytest.approx(math.expm1(0.19))
    assert floor.estimate([*map(_verdict, ratios), _verdict(9.0, busy=True)]) == found
    assert floor.estimate([]) is None
    assert floor.estimate([_verdict(9.0, busy=True)]) is None


@pytest.mark.parametrize("count", [1, 4, 12])
def test_below_the_floor_of_a_few_comparisons_lie_95_per_cent_of_those_to_come(count: int) -> None:
    rng, below = np.random.default_rng(5), list[bool]()
    for _ in range(2000):
        *shown, to_come = 0.05 * rng.standard_normal(count + 1)
        found = floor.estimate([_verdict(math.exp(log)) for log in shown])
        assert found is not None
        below.append(abs(to_come) <= math.log1p(found))
    assert np.mean(below) == pytest.approx(0.95, abs=0.015)


def _run(run_id: str, *verdicts: Verdict) -> Run:
    matchup = Matchup(model="m", phase="forward", batch=4)
    result = MatchupResult(matchup=matchup, parity=None, cases=(), verdicts=verdicts)
    return Run(
        run_id=run_id, started="", seconds=1.0, exit=0, command=(), environment=Environment(),
        matchups=(result,),
    )  # fmt: skip


def test_a_cold_start_is_no_comparison_of_the_floor() -> None:
    (result,) = _run("r", _verdict(1.01)).matchups
    cold = replace(result, matchup=replace(result.matchup, phase="cold_start"))
    both = replace(_run("r"), matchups=(result, cold))
    assert floor.against_itself(both) == list(result.verdicts)


def test_a_busy_comparison_is_not_counted_among_those_of_the_floor(tmp_path: Path) -> None:
    chosen = Selection()
    run = _run("r", _verdict(1.01), _verdict(1.02), _verdict(9.0, busy=True))
    kept = floor.store(tmp_path, chosen, [run])
    assert kept.comparisons == 2
    assert "95th percentile of 2 comparisons" in kept.how
    assert kept.value == floor.estimate([_verdict(1.01), _verdict(1.02)])
    assert floor.lookup(tmp_path, chosen) == kept


def test_a_floor_rests_on_all_that_the_machine_has_shown(tmp_path: Path) -> None:
    chosen = Selection()
    first, second = (_run(n, *map(_verdict, r)) for n, r in (("r", (1.01, 1.2)), ("s", (0.99,))))
    floor.store(tmp_path, chosen, [first])
    kept = floor.store(tmp_path, chosen, [second])
    assert kept.comparisons == 3
    assert kept.value == floor.estimate([_verdict(r) for r in (1.01, 1.2, 0.99)])
    assert floor.store(tmp_path, chosen, [first]) == kept  # it was counted before
    (file,) = (tmp_path / floor.STORE).iterdir()
    pool = json.loads(file.read_text())
    pool["r"]["date"] = "2026-01-02"
    file.write_text(json.dumps(pool))
    told = floor.lookup(tmp_path, chosen)
    assert told is not None
    assert told.oldest == "2026-01-02"
    assert told.newest == kept.newest
    assert f"effort quick, 2026-01-02 to {told.newest}" in told.how


def test_its_uncertainty_is_that_of_the_order_of_the_comparisons() -> None:
    rng = np.random.default_rng(3)
    truth, trials, hits = math.expm1(1.959964), 2000, {30: 0, 200: 0}
    for count in hits:
        for _ in range(trials):
            low, high = floor.interval(np.abs(rng.standard_normal(count)).tolist())
            hits[count] += low <= truth <= (math.inf if high is None else high)
    assert all(hit / trials >= 0.95 for hit in hits.values())
    assert floor.interval([0.1] * 71)[1] is None
    assert floor.interval([0.1] * 72)[1] == pytest.approx(math.expm1(0.1))
    assert floor.interval([0.5])[0] == 0.0
    few = wording.floor_words(4, "quick", ("2026-01-02", "2026-01-02"), (0.0, None))
    assert few == (
        "95th percentile of 4 comparisons of a stack with itself, effort quick, 2026-01-02;"
        " 95 % interval 0 % to beyond the largest of them"
    )
    assert wording.floor_words(99, "quick", ("a", "b"), (0.013, 0.02)).endswith("1.3 % to 2 %")


def test_a_floor_is_made_with_the_launches_of_its_effort_alone() -> None:
    asked = Selection(
        models_dir=MODELS, models=("tiny",), stacks=("null-a",), phases=("forward",),
        launches=20, until_ci=0.01, budget_s=600.0,
    )  # fmt: skip
    small = floor._small(plan.make(asked), 0)
    assert small is not None
    assert small.launches == EFFORTS["quick"].launches
    assert (small.until_ci, small.budget_s, small.limit_s) == (None, None, None)


@pytest.mark.parametrize("flag", ["--launches", "--until-ci", "--budget", "--only"])
def test_the_selftest_has_no_flag_that_would_bend_its_floor(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["selftest", flag, "3"]) == Exit.USAGE
    assert flag in capsys.readouterr().err


def test_a_copy_is_no_interpreter_in_the_command_that_repeats_a_run() -> None:
    chosen = floor.selection(Selection(), [Stack("torch", "eager")], [0.05])
    words = options.as_command(chosen)
    assert "--python" not in words
    assert "torch-eager@a,torch-eager@b,torch-eager@slow5" in words


@pytest.mark.parametrize("flag", ["--profile", "--no-telemetry"])
def test_a_selftest_is_neither_profiled_nor_watched(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = floor.selection(Selection(profile=True), [Stack("torch", "eager")])
    assert (chosen.profile, chosen.telemetry) == (False, False)
    assert main(["selftest", flag]) == Exit.USAGE
    assert flag in capsys.readouterr().err


def test_copies_are_the_same_stack_and_slower_ones() -> None:
    made = floor.selection(Selection(shard=(1, 2)), [Stack("torch", "eager")], [0.05])
    assert made.stacks == ("torch-eager@a", "torch-eager@b", "torch-eager@slow5")
    assert [v.slow for v in made.variants] == [0.0, 0.0, 0.05]
    assert made.shard is None


def test_the_selftest_sees_a_slow_copy_and_calls_no_equal_one(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.inside()
    command = ["selftest", *TINY, "--stacks", "null-a", "--inject", "100", "--effort", "standard"]
    code = main([*command, "--out", str(pipeline.out), "--json"], pipeline.means)
    found = json.loads(capsys.readouterr().out)
    assert (found["comparisons"], found["called"]) == (2, [])
    (row,) = found["slowdowns"]
    assert (row["comparisons"], row["detected"]) == (4, 4)
    assert row["ratio"] == pytest.approx(2.0, rel=0.01)
    assert code == Exit.OK
    assert 0 < found["floor"]["value"] < 0.01
    assert found["floor"]["comparisons"] == 2
    assert not list(pipeline.out.glob("*-*/run.json"))  # these runs are no part of the history
    assert len(list((pipeline.out / floor.FOLDER).glob("*-*/run.json"))) == 1
    chosen = Selection(effort="standard", stacks=("null-b",))
    assert to_json(floor.lookup(pipeline.out, chosen)) == found["floor"]
    for other in (
        replace(chosen, effort="quick"),
        replace(chosen, precision="float64"),
        replace(chosen, policy="defaults"),
        replace(chosen, stacks=("null-a", "torch-eager")),
        replace(chosen, stacks=()),
    ):
        assert floor.lookup(pipeline.out, other) is None


def test_a_selftest_is_judged_by_the_floor_that_was_known_before(pipeline: Pipeline) -> None:
    pipeline.inside()
    command = ["selftest", *TINY, "--stacks", "null-a", "--inject=", "--out", str(pipeline.out)]
    seen = set[Path]()
    for known in (None, 0.05):
        if known:
            shown = _run("shown", *[_verdict(1 + known)] * 99)
            floor.store(pipeline.out, Selection(stacks=("null-a",)), [shown])
        assert main(command, pipeline.means) == Exit.OK
        (made,) = set((pipeline.out / floor.FOLDER).glob("*-*/run.json")) - seen
        seen.add(made)
        run = read_run(json.loads(made.read_text()))
        margins = [v.margin for result in run.matchups for v in result.verdicts]
        assert margins == [pytest.approx(known or 0.02)] * 2


def test_a_run_measures_a_small_floor_until_enough_is_known_and_judges_by_it(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.inside()
    done = pipeline.wanting(floor=REAL.floor).run("--phases", "forward")
    assert "first, the A/A floor: " in capsys.readouterr().err
    (own,) = (pipeline.out / floor.FOLDER).glob("*-*/run.json")
    assert done.run.aa_floor.value == pytest.approx(
        floor.estimate(floor.against_itself(read_run(json.loads(own.read_text()))))
    )
    (verdict,) = done.matchup("forward").verdicts
    assert verdict.margin == max(0.02, done.run.aa_floor.value or 0)
    first = done.run.aa_floor.comparisons
    again = pipeline.run("--phases", "forward")
    assert "first, " in capsys.readouterr().err  # one comparison is little
    assert (first, again.run.aa_floor.comparisons) == (1, 2)
    known = again.run.aa_floor
    monkeypatch.setattr(floor, "ENOUGH", 2)
    last = pipeline.run("--phases", "forward")
    assert "first, " not in capsys.readouterr().err
    assert last.run.aa_floor.comparisons == known.comparisons
    assert len(list((pipeline.out / floor.FOLDER).glob("*-*/run.json"))) == 2


def test_a_damaged_floor_is_measured_anew(pipeline: Pipeline) -> None:
    chosen = Selection()
    floor.store(pipeline.out, chosen, [_run("r", _verdict(1.03))])
    assert floor.lookup(pipeline.out, chosen) is not None
    (file,) = (pipeline.out / floor.STORE).iterdir()
    text = file.read_text()
    for damaged in (text[:9], "{}", '{"r": 1}', text.replace('"logs": [', '"logs": [-1, ')):
        file.write_text(damaged)
        assert floor.lookup(pipeline.out, chosen) is None, damaged


def test_without_a_comparison_there_is_no_floor(pipeline: Pipeline) -> None:
    assert floor.store(pipeline.out, Selection(), []) == Floor()
    assert not (pipeline.out / floor.STORE).exists()
    busy = [_run("r", _verdict(1.5, busy=True), _verdict(1.1, busy=True))]
    told = floor.store(pipeline.out, Selection(), busy)
    assert told.value is None
    assert (
        told.how == "the machine was busy beside the 2 comparisons: the margin of 2 % stands alone"
    )
    assert not (pipeline.out / floor.STORE).exists()


@pytest.mark.parametrize("text", ["x", "0", "-1", "101"])
def test_a_slowdown_that_is_none_is_refused(
    text: str, pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["selftest", f"--inject={text}", "--out", str(pipeline.out)]) == Exit.USAGE
    assert "write per cent" in capsys.readouterr().err


def test_shares_are_read_from_per_cent() -> None:
    assert detection.shares("1,2.5") == (0.01, 0.025)
