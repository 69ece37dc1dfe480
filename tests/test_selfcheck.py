"""The table of tools is counted from their answers; a neighbour is busy only while it is asked."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from benchmarks.results.machine import Environment
from benchmarks.results.records import Case, Launch, Matchup, MatchupResult, Run
from benchmarks.results.stored import journal
from benchmarks.selfcheck import __main__ as selfcheck
from benchmarks.selfcheck import neighbour
from benchmarks.selfcheck.tools import _outcome, twinbench
from benchmarks.selfcheck.tools._outcome import Outcome
from tests.pipeline import alive, until


def _answer(given: str, ratio: float, *, called: bool, condition: str = "quiet") -> dict[str, Any]:
    return {
        "kind": "answer",
        "tool": "torch",
        "condition": condition,
        "given": given,
        "called": called,
        "ratio": ratio,
        "seconds": 10.0,
    }


def test_answers_are_counted_by_condition_and_by_what_was_given() -> None:
    answers = [
        _answer("same", 1.0, called=False),
        _answer("same", 1.1, called=True),
        _answer("same", 2.0, called=True, condition="busy"),
        _answer("slowed", 1.05, called=True),
        {"kind": "something else"},
    ]
    (row,) = selfcheck.summarise(answers)
    assert row["quiet"] == {"called": 1, "of": 2}
    assert row["busy"] == {"called": 1, "of": 1}
    assert row["slowed"] == {"called": 1, "of": 1}
    assert row["spread_busy"] is None
    spread = row["spread_quiet"]
    assert spread == pytest.approx(0.0674, abs=1e-4)
    assert row["narrow_s"] == pytest.approx(10 * (1.96 * spread / 0.0198026) ** 2, rel=1e-4)
    (line,) = selfcheck.markdown([row]).splitlines()[2:]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[2:] == ["1 of 2", "1 of 1", "1 of 1", "6.7%", "-", "445 s"]


def test_a_tool_that_stops_by_itself_costs_what_it_took() -> None:
    answers = [_answer("same", 1.0, called=False), _answer("alone", 1.0, called=False)]
    assert selfcheck.summarise(answers)[0]["narrow_s"] == 10.0
    assert selfcheck.summarise(answers[:1])[0]["narrow_s"] is None


def test_a_narrow_spread_still_costs_one_comparison() -> None:
    answers = [_answer("same", 1.0, called=False), _answer("same", 1.0, called=False)]
    assert selfcheck.summarise(answers)[0]["narrow_s"] == 10.0


def test_every_answer_is_kept_and_the_table_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = ModuleType("benchmarks.selfcheck.tools.torch")
    given: list[float] = []

    def compare(slow: float, _folder: Path) -> Outcome:
        given.append(slow)
        return Outcome(called=slow > 0, ratio=1 + slow)

    tool.compare, tool.RULE = compare, "its rule"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, tool.__name__, tool)
    monkeypatch.setattr(selfcheck, "find_spec", lambda _name: object())
    monkeypatch.setattr(selfcheck, "OTHERS", {"torch": 2})
    assert selfcheck.main(["--tools", "torch", "--out", str(tmp_path)]) == 0
    assert given == [0.0, 0.05, 0.0, 0.05, 0.0, 0.0]
    answers, damaged = journal.read(tmp_path / "answers.ndjson")
    assert (len(answers), damaged) == (6, 0)
    assert "| torch | its rule | 0 of 2 | 0 of 2 | 2 of 2 |" in capsys.readouterr().out
    assert (tmp_path / "selfcheck.json").exists()


def test_a_tool_that_is_not_installed_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(selfcheck, "find_spec", lambda _name: None)
    assert selfcheck.main(["--tools", "pyperf", "--out", str(tmp_path)]) == 0
    assert "pyperf is not installed" in capsys.readouterr().err


def test_copies_are_paired_with_each_other_and_with_the_slower_one() -> None:
    def case(label: str, time_s: float) -> Case:
        launches = tuple(Launch(index=i, samples_s=(time_s, time_s)) for i in range(7))
        return Case(id=label, stack=f"torch-eager@{label}", status="ok", launches=launches)

    cases = (case("a", 1.0), case("b", 1.0), case("c", 1.0), case("slow5", 1.05))
    matchup = Matchup(model="mlp", phase="forward", batch=4)
    run = Run(
        run_id="r",
        started="",
        seconds=1.0,
        exit=0,
        command=(),
        environment=Environment(),
        matchups=(MatchupResult(matchup=matchup, parity=None, cases=cases),),
    )
    same, slowed = twinbench.pairs(run)
    assert [o.called for o in same] == [False] * 3
    assert [o.called for o in slowed] == [True] * 3
    assert slowed[0].ratio == pytest.approx(1.05)


def test_the_neighbour_keeps_a_core_busy_only_while_it_is_asked() -> None:
    def neighbours() -> list[psutil.Process]:
        return [
            p
            for p in psutil.process_iter(["cmdline"])
            if alive(p) and (p.info["cmdline"] or [""])[-2:] == ["-c", neighbour.PROGRAM]
        ]

    there = neighbours()  # of somebody else
    with neighbour.busy(present=False):
        assert not set(neighbours()) - set(there)
    with neighbour.busy(present=True):
        (process,) = set(neighbours()) - set(there)
        assert process not in psutil.Process().children(recursive=True)  # or it would be ours
        time.sleep(0.3)
        assert process.cpu_times().user > 0.05
    until(lambda: not alive(process))


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    made = _outcome.run(["-c", "import sys; sys.exit('no such thing')"], tmp_path)
    with pytest.raises(RuntimeError, match="no such thing"):
        _outcome.done(made)
    assert _outcome.done(made, 1) == ""
