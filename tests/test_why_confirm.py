"""An explanation is held against timings: what they say of it, and that nothing is lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure.calibration import side
from benchmarks.results.profiles import Change, Experiment, Explained, StepProfile
from benchmarks.results.records import Case, Exit, Launch
from benchmarks.why.__main__ import main
from benchmarks.why._shared import confirmations, experiments, of_runs
from tests.pipeline import BARE, MODELS, OURS, Pipeline

PAIR = Explained(a="fast", b="slow", gap_s=0.2, categories=())
TRIAL = Experiment(stack="changed", text="slow, changed")
TINY = ("tiny", "train_step", "--models-dir", str(MODELS), "--stacks", "null-a,null-b")


def timed(**times_s: float) -> tuple[Case, ...]:
    """Cases with seven launches of a steady time each."""
    return tuple(
        Case(
            id=stack,
            stack=stack,
            status="ok",
            launches=tuple(Launch(index=i, samples_s=(t, t * 1.001)) for i in range(7)),
        )
        for stack, t in times_s.items()
    )


@pytest.mark.parametrize(
    ("changed_s", "verdict", "closes", "text"),
    [
        (0.2, "faster", 1.0, "confirmed: slow, changed is 2.00x as fast as slow [2.00, 2.00]"),
        (0.3, "faster", 0.5, "confirmed: slow, changed is 1.33x"),
        (0.1, "faster", 1.5, "confirmed: slow, changed is 4.00x"),
        (0.4, "no call", 0.0, "not confirmed: slow, changed is 1.00x"),
        (0.5, "slower", -0.5, "refuted: slow, changed is 0.80x"),
    ],
)
def test_what_the_timings_say_of_a_trial(
    changed_s: float, verdict: str, closes: float, text: str
) -> None:
    told = confirmations.confirmation(
        timed(fast=0.2, slow=0.4, changed=changed_s), PAIR, TRIAL, margin=0.02
    )
    assert (told.verdict, told.launches) == (verdict, 7)
    assert told.closes == pytest.approx(closes)
    assert told.text.startswith(text)
    ending = f"closes {closes:.0%}" if closes >= 0 else f"widens the gap by {-closes:.0%}"
    assert ending.replace("%", " %") in told.text


def test_where_the_timings_have_no_gap_none_is_closed() -> None:
    told = confirmations.confirmation(
        timed(fast=0.4, slow=0.4, changed=0.2), PAIR, TRIAL, margin=0.02
    )
    assert told.closes is None
    assert told.text.endswith("7 launches")


def test_a_trial_that_failed_gives_its_reason() -> None:
    gone = Case(id="changed", stack="changed", status="error", reason="it fell over")
    told = confirmations.confirmation((*timed(fast=0.2, slow=0.4), gone), PAIR, TRIAL, margin=0.02)
    assert (told.ratio, told.closes) == (None, None)
    assert told.text.startswith("slow, changed: ")
    assert "it fell over" in told.text


@pytest.mark.usefixtures("pipeline")
def test_an_interrupt_ends_the_experiments_and_keeps_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINBENCH_NULL", json.dumps({"slow": 3.0}))
    monkeypatch.setattr(confirmations, "MEANS", BARE)
    monkeypatch.setattr(confirmations, "LAUNCHES", 2)
    trial = Experiment(
        stack="null-b@one_thread",
        text="null-b on one thread",
        variant=Change(label="one_thread", threads=1),
    )
    monkeypatch.setattr(experiments, "_found", lambda *_, **_more: trial)
    carried = side._carry_out

    def interrupted(*given: Any, **more: Any) -> Any:
        carried(*given, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(side, "_carry_out", interrupted)
    assert main(["ops", *TINY, "--out", str(tmp_path), "--confirm"]) == Exit.INTERRUPTED
    (kept,) = tmp_path.rglob("ops.json")
    told = json.loads(kept.read_text())
    assert told["explained"]
    assert told["confirmed"] == []


def test_a_run_keeps_what_its_steps_are_made_of_and_makes_it_once(pipeline: Pipeline) -> None:
    first = pipeline.run("--phases", "forward,dataload", "--profile", slow=3.0)
    profile = first.matchup("forward").profile
    assert profile is not None
    assert {row.stack for row in profile.rows} == {"null-a", "null-b"}
    assert profile.explained[0].b == "null-b"
    assert first.matchup("dataload").profile is None  # it runs no operations of a model
    again = pipeline.call("--resume", *OURS)
    assert again.matchup("forward").profile == profile
    assert sum(entry["kind"] == "profile" for entry in again.entries) == 1


def test_a_budget_that_is_spent_leaves_no_time_for_profiles(pipeline: Pipeline) -> None:
    done = pipeline.run("--phases", "forward", "--profile", "--budget", "0.01s")
    assert done.matchup("forward").profile == StepProfile(reason="the budget was spent")


def test_a_step_that_takes_too_long_is_not_recorded(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_runs, "LONG_S", 1e-6)
    done = pipeline.run("--phases", "forward", "--profile")
    assert done.matchup("forward").profile == StepProfile(
        reason="a step of 0 s is too long to record"
    )
