"""A stack is compared with itself and with slower copies of it, through the usual pipeline."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.measure.calibration import detection, floor
from benchmarks.request import options, plan
from benchmarks.request.selection import Selection
from benchmarks.results.codec import read_run
from benchmarks.results.machine import Floor
from benchmarks.results.records import Exit, Stack, Verdict
from tests.pipeline import MODELS, Pipeline

SETTLE = floor.settle
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


def test_a_busy_comparison_is_not_counted_among_those_of_the_floor(tmp_path: Path) -> None:
    chosen = Selection()
    verdicts = [_verdict(1.01), _verdict(1.02), _verdict(9.0, busy=True)]
    kept = floor.store(tmp_path, chosen, verdicts)
    assert kept.comparisons == 2
    assert "95th percentile of 2 comparisons" in kept.how
    assert kept.value == pytest.approx(0.02, abs=0.01)
    assert floor.lookup(tmp_path, chosen) == kept


def test_a_floor_is_made_with_the_launches_of_its_effort_alone() -> None:
    asked = Selection(
        models_dir=MODELS, models=("tiny",), stacks=("null-a",), phases=("forward",),
        launches=20, until_ci=0.01, budget_s=600.0,
    )  # fmt: skip
    small = floor._small(plan.make(asked))
    assert small is not None
    assert (small.launches, small.until_ci, small.budget_s) == (None, None, None)


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
    command = ["selftest", *TINY, "--stacks", "null-a", "--inject", "50", "--effort", "standard"]
    code = main([*command, "--out", str(pipeline.out), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["comparisons"], found["called"]) == (2, [])
    (row,) = found["slowdowns"]
    assert (row["comparisons"], row["detected"]) == (4, 4)
    assert row["ratio"] == pytest.approx(1.5, abs=0.35)  # beside whatever else runs
    assert code == Exit.OK
    assert 0 < found["floor"]["value"] < 0.2
    assert found["floor"]["comparisons"] == 2
    assert not list(pipeline.out.glob("*-*/run.json"))  # these runs are no part of the history
    assert len(list((pipeline.out / floor.FOLDER).glob("*-*/run.json"))) == 1
    chosen = Selection(effort="standard", stacks=("null-b",))
    assert floor.lookup(pipeline.out, chosen) == found["floor"]
    for other in (
        replace(chosen, effort="quick"),
        replace(chosen, precision="float64"),
        replace(chosen, policy="defaults"),
        replace(chosen, stacks=("null-a", "torch-eager")),
        replace(chosen, stacks=()),
    ):
        assert floor.lookup(pipeline.out, other) is None


def test_a_run_measures_a_small_floor_once_and_judges_by_it(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(floor, "settle", SETTLE)
    done = pipeline.run("--phases", "forward")
    assert "first, the A/A floor: " in capsys.readouterr().err
    (own,) = (pipeline.out / floor.FOLDER).glob("*-*/run.json")
    assert done.run.aa_floor.value == pytest.approx(
        floor.estimate(floor.against_itself(read_run(json.loads(own.read_text()))))
    )
    (verdict,) = done.matchup("forward").verdicts
    assert verdict.margin == max(0.02, done.run.aa_floor.value or 0)
    again = pipeline.run("--phases", "forward")
    assert "first, " not in capsys.readouterr().err
    assert again.run.aa_floor == done.run.aa_floor
    assert len(list((pipeline.out / floor.FOLDER).glob("*-*/run.json"))) == 1


def test_a_damaged_floor_is_measured_anew(pipeline: Pipeline) -> None:
    chosen = Selection()
    floor.store(pipeline.out, chosen, [_verdict(1.03)])
    assert floor.lookup(pipeline.out, chosen) is not None
    (file,) = (pipeline.out / floor.STORE).iterdir()
    file.write_text(file.read_text()[:9])
    assert floor.lookup(pipeline.out, chosen) is None


def test_without_a_comparison_there_is_no_floor(pipeline: Pipeline) -> None:
    assert floor.store(pipeline.out, Selection(), []) == Floor()
    assert not (pipeline.out / floor.STORE).exists()


@pytest.mark.parametrize("text", ["x", "0", "-1", "101"])
def test_a_slowdown_that_is_none_is_refused(
    text: str, pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["selftest", f"--inject={text}", "--out", str(pipeline.out)]) == Exit.USAGE
    assert "write per cent" in capsys.readouterr().err


def test_shares_are_read_from_per_cent() -> None:
    assert detection.shares("1,2.5") == (0.01, 0.025)
