"""Each case is watched once, after its turns; the cost is measured; it never costs a case."""

# ruff: noqa: S311 - an order, not a secret

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.measure.launches import watching
from benchmarks.request import options
from benchmarks.request.selection import EFFORTS, Selection
from benchmarks.results.observed import Measured, Watched
from benchmarks.results.records import Case, Stack
from benchmarks.results.stored.codec import to_json
from benchmarks.results.stored.ledger import Ledger
from benchmarks.worker.commands import Worker
from benchmarks.worker.phases._protocol import Work
from benchmarks.worker.process import environment_of
from profilers.gpu import gpu_state
from profilers.host import Reading
from profilers.metrics import ENERGY_S
from profilers.telemetry import SamplerError, Telemetry
from tests.pipeline import OURS, Pipeline

QUICK = Selection(device="cuda")


@pytest.fixture
def watched(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """The pipeline with a short look at each case, as on a device that needs one."""
    monkeypatch.setitem(watching.WATCH_S, "quick", 0.08)
    monkeypatch.setattr(watching, "SECOND_PASS", ("cpu",))
    return pipeline


def test_one_launch_is_watched_the_last_that_is_planned() -> None:
    asked, effort = replace(QUICK, launches=9), replace(EFFORTS["quick"], launches=9)
    assert [i for i in range(12) if watching.due(asked, effort, i)] == [8]
    assert not any(watching.due(replace(asked, device="cpu"), effort, i) for i in range(12))


def test_on_a_cpu_the_edges_of_turns_tell_what_was_taken(pipeline: Pipeline) -> None:
    outcome = pipeline.run("--phases", "forward,epoch")
    assert "telemetry" not in {entry["kind"] for entry in outcome.entries}
    for phase in ("forward", "epoch"):
        told = outcome.case(phase, "null-a").telemetry
        assert told is not None
        steady = to_json(told.phases["steady"])
        assert 0 < steady["seconds"] < outcome.run.seconds
        assert 0 <= steady["cpu.cores_used"]["value"] < 4
        assert steady["cpu.voluntary_switches"]["value"] >= 1  # its work is to sleep
        assert steady["cpu.peak_rss_bytes"]["value"] > 1 << 20
    assert outcome.run.telemetry.share is None  # nothing was watched, so nothing was paid


def test_what_turns_counted_is_added_up() -> None:
    record = {"wall_s": 2.0, "own_s": 3.0, "waits": 5, "switches": 1, "minor_faults": 7}
    turn = {"record": record | {"major_faults": 0}}
    launches = [
        {"turns": [turn, turn], "memory": {"peak_rss_bytes": 9}},
        {"turns": [turn], "memory": {"peak_rss_bytes": None}},
    ]
    told = watching.of_turns(launches)
    assert told is not None
    assert told.phases["steady"] == {
        "seconds": 6,
        "cpu.cores_used": Measured(value=1.5),
        "cpu.peak_rss_bytes": Measured(value=9),
        "cpu.voluntary_switches": Measured(value=15),
        "cpu.involuntary_switches": Measured(value=3),
        "cpu.minor_faults": Measured(value=21),
        "cpu.major_faults": Measured(value=0),
    }
    older = watching.of_turns([{"turns": [{"record": record}], "memory": {}}])
    assert older is not None
    assert older.phases["steady"]["cpu.major_faults"] == Measured(reason=watching.UNCOUNTED)
    assert watching.of_turns([{"memory": {}}]) is None


def test_with_a_budget_it_is_one_that_is_always_made() -> None:
    assert [i for i in range(4) if watching.due(QUICK, EFFORTS["quick"], i)] == [1]
    paid = replace(QUICK, budget_s=60.0)
    assert [i for i in range(9) if watching.due(paid, EFFORTS["standard"], i)] == [1]
    assert watching.due(paid, replace(EFFORTS["standard"], launches=1), 0)


def test_no_telemetry_is_a_flag_of_both_front_doors() -> None:
    chosen = options.selection(lambda flag: False if flag == "--no-telemetry" else None)
    assert not chosen.telemetry
    on_gpu = replace(chosen, device="cuda")
    assert not any(watching.due(on_gpu, EFFORTS["quick"], i) for i in range(5))
    assert options.as_command(chosen) == ("--no-telemetry",)
    assert options.from_stored(options.to_stored(chosen)) == chosen
    assert options.selection(lambda _flag: None).telemetry


@pytest.mark.parametrize("seed", range(5))
def test_stretches_come_in_pairs_in_random_order(seed: int) -> None:
    found = watching.stretches(2.0, 0.01, "cpu", random.Random(seed))
    assert len(found) == 2 * watching.PAIRS
    for first, second in zip(found[::2], found[1::2], strict=True):
        assert {first.watched, second.watched} == {True, False}
    assert sum(s.seconds for s in found if s.watched) == pytest.approx(2.0)


def test_the_order_is_drawn() -> None:
    rng = random.Random(1)
    orders = {watching.stretches(1, 0.01, "cpu", rng) for _ in range(50)}
    assert len(orders) == 2**watching.PAIRS


def test_a_long_iteration_is_watched_once() -> None:
    rng = random.Random(0)
    (one,) = watching.stretches(0.5, 3.0, "cpu", rng)
    assert (one.watched, one.seconds) == (True, 0.0)


def test_on_a_gpu_the_window_suffices_for_its_energy() -> None:
    for step_s in (0.01, 3.0):
        found = watching.stretches(0.5, step_s, "cuda", random.Random(0))
        assert max(s.seconds for s in found if s.watched) > ENERGY_S


def sustained(seconds: float) -> dict[str, Any]:
    time.sleep(max(seconds, 0.01))
    return {"median_s": 0.01}


def watch(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"watch_s": 0.5, "step_s": 0.01, "rng": random.Random(0)} | changes
    return watching.watch(fields.pop("sustain", sustained), os.getpid(), **fields)


def test_phases_and_pairs_are_stored_as_plain_data() -> None:
    told = watch()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert list(told["phases"]) == ["warmup", "steady"]
    assert told["phases"]["steady"]["seconds"] == pytest.approx(0.5, abs=0.2)
    assert told["phases"]["steady"]["cpu.cores_used"]["value"] is not None
    assert told["perturbation"] == [[0.01, 0.01]] * watching.PAIRS
    assert len(json.dumps(told)) < 8000


def test_a_long_iteration_has_a_steady_phase_alone() -> None:
    told = watch(step_s=9.0)
    assert list(told["phases"]) == ["steady"]
    assert told["perturbation"] == []


def test_a_worker_that_fails_leaves_a_reason() -> None:
    assert watch(sustain=lambda _seconds: None) == {
        "value": None,
        "reason": "the worker failed while it was watched",
    }


def test_where_the_gpu_cannot_be_watched_the_process_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_state, "visible_uuid", lambda: Reading(None, "no driver"))
    told = watch(device="cuda")
    assert told["device"] == {"value": None, "reason": "no driver"}
    assert told["phases"]["steady"]["cpu.cores_used"]["value"] is not None
    assert told["phases"]["steady"]["seconds"] < ENERGY_S  # nothing needs the long window


def test_the_gpu_that_is_watched_is_the_one_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[Any]()

    def refuse(*arguments: Any) -> None:
        asked.append(arguments)
        raise SamplerError("enough seen")

    monkeypatch.setattr(watching, "Telemetry", refuse)
    monkeypatch.setattr(gpu_state, "visible_uuid", lambda: Reading("GPU-1"))
    assert watch(device="cuda")["reason"] == "enough seen"
    watch(device="cpu")
    assert asked == [(os.getpid(), "GPU-1"), (os.getpid(), None)]
    # NVML counts GPUs by their place on the bus, CUDA only where it is told to.
    assert environment_of(Stack.parse("null-a"))["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


@pytest.mark.parametrize(("device", "together"), [("cpu", 1), ("cuda", 10)])
def test_a_device_is_kept_as_busy_as_in_a_turn(device: str, together: int) -> None:
    """Waiting for it after every iteration would leave it idle in between, as no turn does."""
    since, runs = list[int](), 0

    def run() -> None:
        nonlocal runs
        runs += 1
        time.sleep(0.001)

    def synchronize() -> None:
        nonlocal runs
        since.append(runs)
        runs = 0

    session: Any = SimpleNamespace(device=SimpleNamespace(synchronize=synchronize))
    made = Worker(device=device, built=session, work=Work(run=run, discard=0), iterations=80)
    told = made.sustain(seconds=0.05)
    assert set(since) == {0, together}
    assert told["iterations"] == sum(since) >= together
    assert told["median_s"] >= 0.001


def case(pairs: Sequence[tuple[float, float]]) -> Case:
    return Case(id="c", stack="s", status="ok", telemetry=Watched(perturbation=tuple(pairs)))


def test_the_cost_of_watching_is_the_median_over_pairs() -> None:
    pairs = [(1.0, 1.0 + 0.001 * i) for i in range(11)]
    found = watching.perturbation([case(pairs[:5]), case(pairs[5:])])
    assert found.pairs == 11
    assert found.share == pytest.approx(0.005)
    assert found.ci95 is not None
    low, high = found.ci95
    assert [low, high] == pytest.approx([0.001, 0.009])
    assert found.resolved


def test_a_wide_interval_resolves_nothing_and_few_pairs_give_none() -> None:
    wide = watching.perturbation([case([(1.0, 1.0 + 0.01 * i) for i in range(11)])])
    assert not wide.resolved
    few = watching.perturbation([case([(1.0, 1.0)] * 5)])
    assert (few.share, few.ci95, few.resolved) == (0.0, None, False)
    none = watching.perturbation([Case(id="c", stack="s", status="ok")])
    assert (none.share, none.ci95, none.pairs) == (None, None, 0)
    failed = Case(id="c", stack="s", status="ok", telemetry=Watched(reason="x"))
    assert watching.perturbation([failed]).pairs == 0


@pytest.mark.parametrize(("count", "rank"), [(5, None), (6, 0), (10, 1), (20, 5), (100, 39)])
def test_ranks_are_those_of_the_tables_of_the_sign_test(count: int, rank: int | None) -> None:
    assert watching.lowest_rank(count) == rank


def test_every_case_is_watched_and_its_samples_are_untouched(watched: Pipeline) -> None:
    outcome = watched.run("--phases", "forward,epoch")
    assert outcome.code == 0
    for phase in ("forward", "epoch"):
        for stack in ("null-a", "null-b"):
            found = outcome.case(phase, stack)
            assert found.telemetry is not None
            assert "steady" in found.telemetry.phases
            assert len(found.launches) == 2
    kinds = [e["kind"] for e in outcome.entries if e["kind"] in {"telemetry", "launch"}]
    assert kinds.count("telemetry") == 4
    assert kinds[:2] == ["launch", "launch"]  # the first launch is not watched
    assert outcome.run.telemetry.pairs >= 4
    assert "samples_s" not in json.dumps(
        to_json([c.telemetry for c in outcome.matchup("forward").cases])
    )


def test_a_sampler_that_fails_costs_no_case(
    watched: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any) -> None:
        raise SamplerError("the sampler ended with 1: broken")

    monkeypatch.setattr(Telemetry, "__enter__", refuse)
    outcome = watched.run("--phases", "forward")
    assert outcome.code == 0
    found = outcome.case("forward", "null-a")
    assert found.status == "ok"
    assert found.telemetry == Watched(reason="the sampler ended with 1: broken")
    assert outcome.run.telemetry.share is None


def test_a_run_without_telemetry_has_none(watched: Pipeline) -> None:
    outcome = watched.run("--phases", "forward", "--no-telemetry")
    assert outcome.case("forward", "null-a").telemetry is None
    assert "--no-telemetry" in outcome.run.command


def test_what_is_in_the_journal_is_kept_when_a_run_is_resumed(watched: Pipeline) -> None:
    first = watched.run("--phases", "forward")
    again = watched.call("--resume", *OURS)
    stacks = ("null-a", "null-b")
    before, after = ([o.case("forward", s).telemetry for s in stacks] for o in (first, again))
    assert before == after != [None, None]
    ledger = Ledger.of(again.entries)
    assert len(ledger.telemetry) == 2


def test_selftests_are_not_watched() -> None:
    from benchmarks.measure.calibration import floor

    assert not floor.selection(Selection(), []).telemetry
