"""The summary says what the journal says: each status with its reason, and no figure of its own."""

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.measure import summary
from benchmarks.measure.launches.launch import _samples
from benchmarks.measure.summary import assemble, exit_code
from benchmarks.request import discovery, plan
from benchmarks.request.plan import Plan
from benchmarks.request.selection import EFFORTS, Selection
from benchmarks.results.machine import Environment
from benchmarks.results.observed import Memory
from benchmarks.results.records import (
    Case,
    Exit,
    LayerWork,
    Matchup,
    MatchupResult,
    Parity,
    Run,
    Stack,
    Status,
    TimedCheck,
)
from benchmarks.results.statistics import compare
from benchmarks.results.stored.codec import to_json
from benchmarks.results.stored.ledger import Ledger
from tests.pipeline import MODELS, SHORT

HEADER = Run(
    run_id="r",
    started="2026-11-21T08:15:00Z",
    seconds=0,
    exit=0,
    command=(),
    environment=Environment(cpu="x"),
)
MODEL = "tiny"
FORWARD = "tiny.forward.b4.float32.cpu"
COLD = "tiny.cold_start.b4.float32.cpu"
PROVEN = Parity(status="proven", adapters=("null",))
PARTIAL = Parity(
    status="partial",
    reason="only null is here",
    layers=(
        LayerWork(
            name="dense",
            kind="Dense",
            parameters=170,
            trainable=True,
            macs=160,
            output=10,
            terms=16,
        ),
    ),
)
FAILED = Parity(status="failed", reason="output differs by 1.0e-02")


@pytest.fixture(autouse=True)
def small_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two launches suffice, one of them cold."""
    monkeypatch.setitem(EFFORTS, "quick", SHORT["quick"])


def _plan(*phases: str, stacks: tuple[str, ...] = ("null-a", "null-b")) -> Plan:
    chosen = Selection(models_dir=MODELS, models=(MODEL,), phases=phases, stacks=stacks)
    return plan.make(chosen)


def _proof(parity: Parity = PARTIAL) -> dict[str, Any]:
    return {"kind": "proof", "model": MODEL, "parity": to_json(parity)}


def _check(stack: str, error: float, quantity: str = "output") -> dict[str, Any]:
    check = TimedCheck(stack=stack, quantity=quantity, error=error, bound=1e-6)
    return {"kind": "check", "model": MODEL, "check": to_json(check)}


def _measured(samples_s: list[float], **changed: Any) -> dict[str, Any]:
    memory = {
        "peak_rss_bytes": 100,
        "peak_rss_reason": None,
        "device_peak_bytes": None,
        "device_reason": "not a CUDA device",
    }
    base = {
        "samples_s": samples_s,
        "warmup_s": [0.5],
        "steady": True,
        "iterations": 3,
        "items": 4,
        "memory": memory,
        "learned": [],
    }
    return base | changed


def _launch(index: int, matchup: str = FORWARD, **cases: dict[str, Any]) -> dict[str, Any]:
    named = {name.replace("_", "-"): data for name, data in cases.items()}
    return {"kind": "launch", "matchup": matchup, "launch": index, "cases": named}


def _both(index: int) -> dict[str, Any]:
    return _launch(index, null_a=_measured([0.1, 0.2]), null_b=_measured([0.3, 0.6]))


def _crash(stack: str, launch: int) -> dict[str, Any]:
    return {
        "kind": "failure",
        "matchup": FORWARD,
        "stack": stack,
        "launch": launch,
        "status": "crash",
        "reason": "the worker died of SIGSEGV",
        "failure": {
            "launch": launch,
            "signal": "SIGSEGV",
            "exit_code": -11,
            "stderr": "last words",
        },
    }


def _cold(stack: str, cache: str, launch: int = 0) -> dict[str, Any]:
    times = {"import_s": 1.0, "build_s": 0.25, "first_step_s": 0.5}
    return {
        "kind": "cold",
        "matchup": COLD,
        "stack": stack,
        "cold": {"launch": launch, "cache": cache, **times},
    }


def _assembled(entries: list[dict[str, Any]], made: Plan | None = None, **how: bool) -> Run:
    return assemble(made or _plan("forward"), Ledger.of(entries), HEADER, **how)


def _case(run: Run, stack: str) -> Case:
    (found,) = (c for result in run.matchups for c in result.cases if c.stack == stack)
    return found


def test_samples_come_back_by_launch_whatever_their_order_in_the_journal() -> None:
    run = _assembled([_proof(), _launch(1, null_a=_measured([0.5])), _both(0)])
    case = _case(run, "null-a")
    assert case.status == "ok"
    assert [(la.index, la.samples_s) for la in case.launches] == [(0, (0.1, 0.2)), (1, (0.5,))]
    assert (case.launches[0].warmup_s, case.launches[0].iterations) == ((0.5,), 3)
    assert case.items_per_iteration == 4
    assert case.flops_per_iteration == 2.0 * 16 * 10 * 4
    assert case.id == f"{FORWARD}.null-a"


def test_a_healthy_run_has_a_ratio_over_its_launches() -> None:
    run = _assembled([_proof(), _both(0), _both(1)])
    (verdict,) = run.matchups[0].verdicts
    assert (verdict.a, verdict.b, verdict.verdict) == ("null-a", "null-b", "faster")
    assert verdict.ratio == pytest.approx(3.0)
    assert (verdict.launches, verdict.margin) == (2, 0.02)
    assert run.exit == Exit.OK


def test_every_pair_of_stacks_gets_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "framework_status", lambda _requires: None)
    made = _plan("forward", stacks=("null-b", "null-a", "torch-eager"))
    run = _assembled([_proof(), _both(0), _both(1)], made)
    assert [(v.a, v.b) for v in run.matchups[0].verdicts] == [
        ("null-b", "null-a"),
        ("null-b", "torch-eager"),
        ("null-a", "torch-eager"),
    ]


def test_a_failed_proof_withholds_everything() -> None:
    run = _assembled([_proof(FAILED), _both(0), _both(1)])
    for case in run.matchups[0].cases:
        assert (case.status, case.reason) == ("parity_failed", "output differs by 1.0e-02")
        assert case.launches == ()
    (verdict,) = run.matchups[0].verdicts
    assert (verdict.verdict, verdict.ratio) == ("not comparable", None)
    assert run.exit == Exit.PARITY


def test_a_stack_that_computes_something_else_as_timed_is_refused() -> None:
    entries = [_proof(), _check("null-a", 1e-9), _check("null-b", 0.5), _both(0), _both(1)]
    run = _assembled(entries)
    wrong = _case(run, "null-b")
    assert wrong.status == "parity_failed"
    assert "its output differs from the float64 reference by 5.0e-01" in (wrong.reason or "")
    assert "(1.0e-06)" in (wrong.reason or "")
    assert (wrong.launches, _case(run, "null-a").status) == ((), "ok")
    assert Ledger.of(entries).refused(MODEL) == {"null-b"}
    assert run.exit == Exit.PARITY


def test_a_check_that_is_no_number_is_a_refusal() -> None:
    assert Ledger.of([_check("null-a", float("nan"))]).refused(MODEL) == {"null-a"}


def test_the_newest_check_counts() -> None:
    entries = [_proof(), _check("null-b", 0.5), _proof(), _check("null-b", 1e-9)]
    ledger = Ledger.of(entries)
    assert ledger.refused(MODEL) == set()
    assert [check.error for check in ledger.checks[MODEL]] == [1e-9]


def test_a_stack_that_was_refused_stays_so_when_the_twins_are_proven_again() -> None:
    entries = [_proof(), _check("null-b", 0.5, "update"), _check("null-b", 1e-9), _proof()]
    ledger = Ledger.of([*entries, _check("null-b", 1e-9)])
    assert ledger.refused(MODEL) == {"null-b"}
    assert [check.quantity for check in ledger.checks[MODEL]] == ["update", "output"]


def test_a_crash_keeps_what_was_finished_and_all_that_is_known() -> None:
    entries = [_proof(), _both(0), _crash("null-b", 1), _launch(1, null_a=_measured([0.1]))]
    run = _assembled(entries)
    case = _case(run, "null-b")
    assert (case.status, case.reason) == ("crash", "the worker died of SIGSEGV")
    assert case.failure is not None
    assert (case.failure.signal, case.failure.exit_code, case.failure.launch) == ("SIGSEGV", -11, 1)
    assert case.failure.stderr == "last words"
    assert [la.index for la in case.launches] == [0]
    assert run.exit == Exit.INCOMPLETE
    (verdict,) = run.matchups[0].verdicts
    assert verdict.verdict == "not comparable"


def test_the_first_failure_of_a_case_is_the_one_that_is_told() -> None:
    run = _assembled([_proof(), _crash("null-b", 0), _crash("null-b", 1)])
    failure = _case(run, "null-b").failure
    assert failure is not None
    assert failure.launch == 0


def test_an_interrupted_case_says_how_far_it_came() -> None:
    run = _assembled([_proof(), _both(0)], interrupted=True)
    for case in run.matchups[0].cases:
        assert (case.status, case.reason) == ("interrupted", "1 of 2 launches were finished")
        assert len(case.launches) == 1
    assert run.exit == Exit.INTERRUPTED


def test_an_interrupt_leaves_a_finished_case_as_it_is() -> None:
    run = _assembled([_proof(), _both(0), _both(1)], interrupted=True)
    assert {case.status for case in run.matchups[0].cases} == {"ok"}
    assert run.exit == Exit.INTERRUPTED


def test_a_case_without_a_sample_is_never_ok() -> None:
    run = _assembled([_proof(), _launch(0), _launch(1)])
    for case in run.matchups[0].cases:
        assert (case.status, case.reason) == ("error", "no launch could tell it from noise")
    assert run.exit == Exit.INCOMPLETE


def test_a_stack_that_lacks_its_framework_is_unsupported_before_all_else() -> None:
    made = replace(_plan("forward"), unsupported={"null-b": "null is not installed"})
    run = _assembled([_proof(FAILED)], made)
    case = _case(run, "null-b")
    assert (case.status, case.reason) == ("unsupported", "null is not installed")


def test_a_cold_start_is_its_own_sample_and_a_warm_one_is_beside_it() -> None:
    entries = [
        _proof(),
        _cold("null-a", "empty"),
        _cold("null-a", "warm"),
        _cold("null-b", "empty"),
    ]
    run = _assembled(entries, _plan("cold_start"))
    case = _case(run, "null-a")
    assert [start.cache for start in case.cold_starts] == ["empty", "warm"]
    assert [launch.samples_s for launch in case.launches] == [(1.75,)]
    assert (case.status, case.flops_per_iteration) == ("ok", None)
    (verdict,) = run.matchups[0].verdicts
    assert (verdict.verdict, verdict.reason) == ("no call", "one launch gives no interval")


def test_memory_is_the_largest_peak_and_absence_keeps_its_reason() -> None:
    memory = {"peak_rss_bytes": 300, "device_peak_bytes": None, "device_reason": "none here"}
    later = _launch(1, null_a=_measured([0.1], memory=memory))
    case = _case(_assembled([_proof(), _both(0), later]), "null-a")
    assert case.memory == Memory(peak_rss_bytes=300, device_reason="none here")


def test_what_was_learned_is_that_of_the_last_epoch_of_each_launch() -> None:
    known = {
        "train_loss": 2.0,
        "train_accuracy": 0.1,
        "test_loss": 2.1,
        "test_accuracy": 0.2,
        "train_samples": 8,
        "test_samples": 4,
    }
    first = _measured([0.1], learned=[known | {"test_accuracy": 0.0}, known])
    second = _measured([0.1], learned=[known | {"test_accuracy": 0.5}])
    case = _case(
        _assembled([_proof(), _launch(0, null_a=first), _launch(1, null_a=second)]), "null-a"
    )
    assert [learned.test_accuracy for learned in case.learned] == [0.2, 0.5]


def test_settings_are_compared_for_the_fairness_list() -> None:
    entries = [
        {
            "kind": "settings",
            "model": MODEL,
            "stack": stack,
            "settings": {"threads": threads, "precision": "p"},
        }
        for stack, threads in (("null-a", 2), ("null-b", 3))
    ]
    run = _assembled([_proof(), *entries, _both(0), _both(1)])
    states = {row.check: row.state for row in run.environment.fairness}
    assert states == {"threads": "unequal", "precision": "equal"}
    assert run.environment.cpu == "x"
    assert _case(run, "null-b").settings["threads"] == 3


@pytest.mark.parametrize("parity", [None, PARTIAL])
def test_across_frameworks_nothing_is_called_that_is_not_proven(parity: Parity | None) -> None:
    cases = [
        Case(
            id=stack,
            stack=stack,
            status="ok",
            launches=tuple(summary._launch(i, _measured([time, time])) for i in range(3)),
        )
        for stack, time in (("torch-eager", 0.1), ("tensorflow-graph", 0.3))
    ]
    verdict = summary._proven(_plan("forward"), compare(cases[0], cases[1], 0.02), parity)
    assert verdict.verdict == "not comparable"
    assert (verdict.reason or "").startswith("twins not proven: ")
    assert (
        summary._proven(_plan("forward"), compare(cases[0], cases[1], 0.02), PROVEN).verdict
        == "faster"
    )


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["ok", "ok"], Exit.OK),
        (["ok", "unsupported"], Exit.OK),
        (["unsupported", "unsupported"], Exit.NOTHING),
        ([], Exit.NOTHING),
        *((["ok", bad], Exit.INCOMPLETE) for bad in ("oom_device", "oom_host", "timeout")),
        *((["ok", bad], Exit.INCOMPLETE) for bad in ("crash", "error", "interrupted")),
        (["ok", "parity_failed"], Exit.PARITY),
        (["crash", "parity_failed"], Exit.PARITY),
    ],
)
def test_the_exit_code_is_the_gravest_of_the_cases(statuses: list[Status], code: Exit) -> None:
    matchup = Matchup(model="m", phase="forward", batch=1)
    cases = tuple(Case(id=str(i), stack=str(i), status=s) for i, s in enumerate(statuses))
    assert exit_code([MatchupResult(matchup=matchup, parity=None, cases=cases)]) == code


def test_what_is_in_the_journal_is_not_measured_again() -> None:
    made = _plan("forward", "cold_start")
    forward, cold = made.groups[0].matchups
    ledger = Ledger.of([_both(0), _crash("null-b", 1), _cold("null-a", "empty")])
    a, b = Stack("null", "a"), Stack("null", "b")
    assert ledger.done(forward, a, 0, 1)
    assert not ledger.done(forward, a, 1, 1)
    assert ledger.done(forward, b, 1, 1)  # it failed before: it is not tried again
    assert ledger.done(cold, a, 0, 1)
    assert not ledger.done(cold, b, 0, 1)
    assert ledger.done(cold, b, 1, 1)  # no launch but the first is a cold one


def test_a_launch_steadies_its_baseline_by_the_median() -> None:
    turns = [{"run_s": 5.0, "baseline_s": b} for b in (1.0, 2.0, 4.5)]
    assert _samples(turns) == [3.0, 3.0, 3.0]
    assert _samples([{"run_s": 2.0, "baseline_s": 0.0}]) == [2.0]
