"""A disturbed round is taken again for all its stacks, and nothing that was taken is lost."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.measure.launches import rounds
from benchmarks.measure.launches.rounds import HOPELESS, LONGEST_S, PAUSE_S, Gate
from benchmarks.results.observed import Interference
from benchmarks.results.records import Case, Launch, Matchup, Stack
from benchmarks.results.statistics import compare
from benchmarks.results.stored.codec import from_json
from profilers.gpu.gpu_state import State
from profilers.neighbours import Snapshot
from tests.pipeline import SHORT, Pipeline
from tests.test_disturbances import QUIET

A, B = Stack("null", "a"), Stack("null", "b")
MATCHUP = Matchup(model="tiny", phase="forward", batch=4)
TAKEN = {"delay_s": 0.09, "foreign_s": 0.09}
QUICK = SHORT["quick"]
BUSY = 4.0
"""Cores: more than the counters of a short turn may be off by."""


def _turn(run_s: float = 1.0) -> dict[str, Any]:
    return {"run_s": run_s, "record": QUIET}


class Machine:
    """Answers rounds; those named are disturbed for stack ``b``."""

    def __init__(self, *disturbed: int) -> None:
        self.disturbed, self.pauses = disturbed, list[float]()
        self.gate = Gate(pause=self.pauses.append)

    def take(self, wanted: int = 4) -> rounds.Taken:
        def one_round(index: int) -> rounds.Turns:
            beside = TAKEN if index in self.disturbed else {}
            longer = 1.5 if beside else 1.0
            return {A: _turn(), B: _turn(longer) | {"record": QUIET | beside}}

        taking = self.gate.taking(MATCHUP, wanted)
        while taking.unfinished:
            taking.add(one_round(len(taking.rounds)))
        return taking.taken()


def test_a_quiet_machine_takes_no_round_twice() -> None:
    machine = Machine()
    taken = machine.take()
    assert (len(taken.rounds), taken.counted(), taken.busy) == (4, [0, 1, 2, 3], False)
    assert machine.pauses == []


def test_a_disturbed_round_is_repeated_for_all_and_stays_on_record() -> None:
    machine = Machine(1)
    taken = machine.take()
    assert (len(taken.rounds), taken.counted(), taken.busy) == (5, [0, 2, 3, 4], False)
    assert machine.pauses == [PAUSE_S]
    assert taken.causes[1] == {A: {}, B: {"taken": pytest.approx(0.7)}}
    told = rounds.evidence(taken, A, Snapshot.take())
    assert (told.repeated, told.rounds, told.busy) == (1, 5, False)
    assert told.who == {}
    assert (told.turns, told.disturbed) == (5, {})
    assert rounds.evidence(taken, B, Snapshot.take()).disturbed == {"taken": (1.5,)}


def test_a_machine_that_stays_busy_ends_the_repeats_and_keeps_every_round() -> None:
    machine = Machine(*range(99))
    taken = machine.take()
    assert (len(taken.rounds), taken.counted(), taken.busy) == (HOPELESS, [0, 1, 2], True)
    assert machine.pauses == [PAUSE_S, 2 * PAUSE_S]
    told = rounds.evidence(taken, B, Snapshot.take())
    assert told.busy is True
    assert told.disturbed == {"taken": (None, None, None)}  # beside what would they be long?


def test_the_budget_of_repeats_ends_too() -> None:
    machine = Machine(*range(1, 99))
    taken = machine.take()
    assert (len(taken.rounds), taken.counted(), taken.busy) == (8, list(range(8)), True)
    assert max(machine.pauses) == LONGEST_S


def test_enough_quiet_rounds_are_enough_when_the_budget_is_spent() -> None:
    taken = Machine(*range(2, 99)).take()
    assert (taken.counted(), taken.busy) == ([0, 1], False)


def _case(stack: str, busy: set[int], who: dict[str, float]) -> Case:
    launches = tuple(
        Launch(
            index=i,
            samples_s=(1.0 if stack == "a-x" else 1.5 + 0.01 * i,) * 3,
            interference=Interference(busy=i in busy, who=who, causes={"stolen": 0.2}),
        )
        for i in range(6)
    )
    return Case(id=f"m.{stack}", stack=stack, status="ok", launches=launches)


def test_a_launch_on_a_busy_machine_is_left_out_for_both() -> None:
    verdict = compare(_case("a-x", set(), {}), _case("b-x", {0, 1}, {"make": 0.9}), 0.02)
    assert (verdict.verdict, verdict.launches) == ("faster", 4)
    assert verdict.reason is not None
    assert "launch 0 left out: machine busy (make on 0.9 cores)" in verdict.reason


def test_a_machine_that_stayed_busy_gives_no_call_and_says_who() -> None:
    verdict = compare(_case("a-x", {0, 1}, {}), _case("b-x", {2, 3}, {"make": 0.9}), 0.02)
    assert (verdict.verdict, verdict.launches) == ("no call", 6)
    assert verdict.reason == "machine busy in 4 of 6 launches (make on 0.9 cores)"
    nameless = compare(_case("a-x", {0, 1, 2}, {}), _case("b-x", set(), {}), 0.02)
    assert str(nameless.reason).endswith("(the hypervisor took 20% of a turn)")


def test_a_run_repeats_and_keeps_what_was_disturbed(pipeline: Pipeline) -> None:
    machine = pipeline.inside()
    machine.neighbour = lambda _at: BUSY if machine.turns() == 1 else 0.0
    done = pipeline.run("--phases", "forward")
    assert done.code == 0
    (entry,) = (e for e in done.entries if e["kind"] == "launch" and e["launch"] == 0)
    for case in entry["cases"].values():
        assert len(case["samples_s"]) == QUICK.rounds
        assert len(case["turns"]) == QUICK.rounds + 1
        assert case["interference"]["repeated"] == 1
    kept = done.case("forward", "null-a").launches[0].interference
    assert kept == from_json(Interference, entry["cases"]["null-a"]["interference"])
    told = done.run.interference
    assert told.repeated == 1
    assert told.turns == 2 * told.rounds
    assert told.disturbed["taken"].turns == 1
    assert told.disturbed["taken"].times_as_long == pytest.approx(1.0, rel=0.01)


def test_a_run_on_a_busy_machine_calls_nothing(pipeline: Pipeline) -> None:
    pipeline.inside().neighbour = lambda _at: BUSY
    done = pipeline.run("--phases", "forward", slow=3)
    (verdict,) = done.matchup("forward").verdicts
    assert verdict.verdict == "no call"
    assert str(verdict.reason).startswith("machine busy in 2 of 2 launches")
    assert len(done.case("forward", "null-a").launches[0].samples_s) == HOPELESS


class Gpu:
    """Answers one state after the other."""

    def __init__(self, *states: State | None) -> None:
        self.states = list(states)

    def state(self) -> State | None:
        return self.states.pop(0)


def test_what_disturbs_a_gpu_is_a_reason() -> None:
    def state(mhz: int | None, *reasons: str, pids: tuple[int, ...] = (1,)) -> State:
        return State(sm_clock_mhz=mhz, reasons=reasons, pids=pids)

    states = (state(1900), state(1900), state(1700), state(None, "power brake", pids=(1, 2)), None)
    judged = Gate(gpu=Gpu(*states))  # type: ignore[arg-type]  # all that is asked of a watch
    assert [judged.gpu_reasons([1]) for _ in states] == [
        [],
        [],
        ["SM clock 1700 MHz, usually 1900"],
        ["power brake", "1 foreign processes on the GPU"],
        [],
    ]
    assert Gate().gpu_reasons([1]) == []
