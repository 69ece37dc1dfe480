"""Whole runs on a machine of the tests: its clock, its kernel, its workers."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.measure.calibration import ceilings, floor
from benchmarks.request.selection import EFFORTS
from benchmarks.results.machine import Floor
from benchmarks.results.records import Exit
from tests.kernel import Kernel
from tests.pipeline import REAL, SHORT, Outcome, Pipeline

QUICK = SHORT["quick"]
BUSY = 4.0
"""Cores: more than the counters of a short turn may be off by."""


@pytest.fixture
def machine(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A machine on which every run is calibrated, too."""
    monkeypatch.setattr(ceilings, "SIZES", {"cpu": 16})
    pipeline.wanting(floor=REAL.floor, ceiling=REAL.ceiling)
    return pipeline.inside()


def verdict_of(done: Outcome, phase: str = "forward") -> tuple[str, float, str]:
    """The word, the ratio and the reason of the only comparison."""
    (found,) = done.matchup(phase).verdicts
    assert found.ratio is not None
    return found.verdict, found.ratio, found.reason or ""


def test_a_quiet_run_is_calibrated_measured_and_told(pipeline: Pipeline, machine: Kernel) -> None:
    built = list[Path]()

    def build(folder: Path) -> Path:
        built.append(folder)
        return folder / "report.html"

    done = pipeline.wanting(report=build).run("--phases", "forward,train_step", slow=1.3)
    assert done.code == Exit.OK
    assert built == [done.out / done.folder.name]
    kinds = [entry["kind"] for entry in done.entries]
    assert kinds[:5] == ["run", "calibrated", "calibrating", "calibrated", "calibrated"]
    assert kinds.index("proof") < kinds.index("check") < kinds.index("launch")
    for phase in ("forward", "train_step"):
        word, ratio, _ = verdict_of(done, phase)
        assert word == "faster"
        assert ratio == pytest.approx(1.3, rel=0.01)
    assert done.run.interference.repeated == 0
    assert done.run.aa_floor.comparisons == 2  # of one stack with itself, in two phases
    assert done.run.aa_floor.value == pytest.approx(0.0, abs=0.005)
    ceiling = done.run.environment.ceiling
    assert ceiling is not None
    assert (ceiling.flops_per_s or 0) > 0
    assert machine.seconds > done.run.seconds > 0
    assert len(list((done.out / floor.FOLDER).glob("*-*/run.json"))) == 1


def test_equal_stacks_are_not_called_apart(pipeline: Pipeline, machine: Kernel) -> None:
    word, ratio, reason = verdict_of(pipeline.run("--phases", "forward"))
    assert word == "no call"
    assert ratio == pytest.approx(1.0, rel=0.005)
    assert reason == "no difference beyond ±2 %"
    assert machine.turns() >= 2 * QUICK.rounds * QUICK.launches


def test_a_neighbour_who_comes_in_one_launch_costs_that_launch(
    pipeline: Pipeline, machine: Kernel
) -> None:
    pipeline.wanting(floor=lambda _session: Floor(), ceiling=ceilings.obtain)
    machine.neighbour = lambda _at: BUSY if machine.turns() <= 2 * QUICK.rounds else 0.0
    done = pipeline.run("--phases", "forward", "--effort", "standard", slow=1.3)
    first, *rest = done.case("forward", "null-a").launches
    assert first.busy
    assert not any(launch.busy for launch in rest)
    word, ratio, reason = verdict_of(done)
    assert word == "faster"
    assert ratio == pytest.approx(1.3, rel=0.01)
    assert reason.startswith("launch 0 left out: machine busy")


def test_a_slow_core_is_a_cause_of_its_own(pipeline: Pipeline, machine: Kernel) -> None:
    pipeline.wanting(floor=lambda _session: Floor())
    machine.canary_s = lambda _at: 5e-4 if machine.turns() == 2 * QUICK.rounds else 1e-4
    done = pipeline.run("--phases", "forward")
    found = done.run.interference.disturbed
    assert set(found) == {"slow"}
    assert done.run.interference.repeated >= 1


def test_a_budget_is_spent_by_the_clock_of_the_session(pipeline: Pipeline, machine: Kernel) -> None:
    pipeline.wanting(floor=lambda _session: Floor())
    done = pipeline.run("--phases", "forward", "--effort", "standard", "--budget", "1s")
    assert len(done.case("forward", "null-a").launches) < SHORT["standard"].launches
    before = machine.seconds
    more = pipeline.run("--phases", "forward", "--effort", "standard", "--budget", "1h")
    assert len(more.case("forward", "null-a").launches) == SHORT["standard"].launches
    assert machine.seconds - before < 60


@pytest.mark.parametrize(("epochs_s", "rounds"), [(0.07, 3), (9.0, QUICK.rounds), (0.0, 1)])
@pytest.mark.usefixtures("machine")
def test_of_short_epochs_a_launch_takes_several(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, epochs_s: float, rounds: int
) -> None:
    """One takes ten delays of 2 ms."""
    monkeypatch.setitem(EFFORTS, "quick", replace(QUICK, epochs_s=epochs_s))
    done = pipeline.run("--phases", "epoch")
    for case in done.matchup("epoch").cases:
        assert [len(launch.samples_s) for launch in case.launches] == [rounds] * QUICK.launches
        assert case.median_s == pytest.approx(0.02, rel=0.01)


@pytest.mark.usefixtures("machine")
def test_a_worker_that_fails_costs_its_cases(pipeline: Pipeline) -> None:
    done = pipeline.run("--phases", "forward,train_step", fault="error", at="train_step")
    assert done.code == Exit.INCOMPLETE
    assert done.case("train_step", "null-b").status == "error"
    assert "told to fail" in (done.case("train_step", "null-b").reason or "")
    assert done.case("forward", "null-b").status == "ok"
