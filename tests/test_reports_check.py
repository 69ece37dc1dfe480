"""The gate stops a slower run, lets an unchanged one pass, and never learns from a bad one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.measure import session
from benchmarks.results.records import Exit, Run
from reports.__main__ import main
from reports.runs.baselines import CHECKS, accept, mark, marks
from reports.runs.load import LoadError, NoRunError
from reports.runs.store import read
from reports.trends import check
from reports.trends.check import Check, fence, gate, measure_again
from tests.pipeline import OURS, Pipeline
from tests.report_series import CASE_A, CASE_B, RATIO, environment, failed, run, store

Capture = pytest.CaptureFixture[str]
Remeasure = Callable[[Run, Sequence[str], Path], Run]
SLOW = 0.024
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


class Again:
    """Measures again by giving what was prepared; remembers what was asked."""

    def __init__(self, made: Run) -> None:
        self.made = made
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, _run: Run, cases: Sequence[str], _out: Path) -> Run:
        self.asked.append(tuple(cases))
        return self.made


def never(_run: Run, cases: Sequence[str], _out: Path) -> Run:
    raise AssertionError(f"{cases} were measured again")


def checked(
    out: Path,
    again: Remeasure | None = never,
    *,
    name: str | None = None,
    baseline: str = "latest-ok",
    **changes: Any,
) -> Check:
    return gate(out, name, baseline, 0.05, remeasure=again, **changes)[0]


def test_an_unchanged_run_passes_and_nothing_is_measured_again(tmp_path: Path) -> None:
    done = checked(store(tmp_path, run(1), run(2)))
    assert (done.exit, done.flags, done.confirmation) == (Exit.OK, (), None)
    assert (done.run, done.baseline) == (run(2).run_id, run(1).run_id)
    assert (done.times, done.ratios, done.blind) == (2, 1, ())
    assert marks(tmp_path) == {run(2).run_id: "passed"}


def test_a_slower_case_fails_once_it_is_confirmed(tmp_path: Path) -> None:
    again = Again(run(3, b_s=SLOW))
    done = checked(store(tmp_path, run(1), run(2, b_s=SLOW)), again)
    assert list(map(set, again.asked)) == [{CASE_A, CASE_B}]
    assert done.exit == Exit.REGRESSION
    assert {flag.found.key: flag.regressed for flag in done.flags} == {CASE_B: True, RATIO: True}
    assert {flag.found.slower for flag in done.flags} == {CASE_B}
    for flag in done.flags:
        assert flag.pooled is not None
        assert (len(flag.pooled.before), len(flag.pooled.after)) == (3, 6)
    assert marks(tmp_path) == {run(2).run_id: "failed"}


def test_what_the_second_look_does_not_see_passes(tmp_path: Path) -> None:
    done = checked(store(tmp_path, run(1), run(2, b_s=SLOW)), Again(run(3)))
    assert done.exit == Exit.OK
    assert [flag.regressed for flag in done.flags] == [False, False]
    assert marks(tmp_path) == {run(2).run_id: "cleared"}
    assert checked(store(tmp_path, run(3))).baseline == run(1).run_id  # its times are off


def _restless(made: Run, factors: Sequence[float]) -> Run:
    """The same run, each launch of stack b so many times as long."""
    (found,) = made.matchups
    a, b = found.cases
    launches = tuple(
        replace(one, samples_s=tuple(factor * s for s in one.samples_s))
        for one, factor in zip(b.launches, factors, strict=True)
    )
    return replace(made, matchups=(replace(found, cases=(a, replace(b, launches=launches))),))


def test_a_run_that_was_far_off_does_not_confirm_itself_through_the_mean(tmp_path: Path) -> None:
    """Launches of both runs together clear the margin; the second by itself shows nothing."""
    again = Again(_restless(run(3), (0.9, 1.3, 1.7)))
    done = checked(store(tmp_path, run(1), run(2, b_s=0.160)), again)
    assert {flag.found.key for flag in done.flags} == {CASE_B, RATIO}
    for flag in done.flags:
        assert flag.pooled is not None
        assert flag.pooled.clears(0.05)
        assert not flag.regressed
    assert done.exit == Exit.OK


@pytest.mark.parametrize(("b_s", "code"), [(SLOW, Exit.REGRESSION), (0.0204, Exit.OK)])
def test_a_second_look_of_one_launch_must_clear_the_margin(
    b_s: float, code: Exit, tmp_path: Path
) -> None:
    again = Again(run(3, b_s=b_s, count=1))
    assert checked(store(tmp_path, run(1), run(2, b_s=SLOW)), again).exit == code


def test_without_a_second_look_the_run_itself_decides(tmp_path: Path) -> None:
    assert checked(store(tmp_path, run(1), run(2, b_s=SLOW)), None).exit == Exit.REGRESSION


def test_a_faster_case_is_no_regression_yet_its_ratio_says_so(tmp_path: Path) -> None:
    again = Again(run(3, b_s=0.016))
    done = checked(store(tmp_path, run(1), run(2, b_s=0.016)), again)
    (flag,) = done.flags
    assert (flag.found.key, flag.found.slower) == (RATIO, CASE_A)


def test_a_slower_machine_is_no_regression(tmp_path: Path) -> None:
    slow = run(2, a_s=0.015, b_s=0.030, canary_s=0.0015)
    assert checked(store(tmp_path, run(1), slow)).exit == Exit.OK


def test_a_regression_of_both_stacks_is_seen_in_canary_loops(tmp_path: Path) -> None:
    slow = run(2, a_s=0.012, b_s=SLOW)
    done = checked(store(tmp_path, run(1), slow), Again(run(3, a_s=0.012, b_s=SLOW)))
    assert done.exit == Exit.REGRESSION
    assert {flag.found.key for flag in done.flags} == {CASE_A, CASE_B}


def test_without_a_canary_times_are_not_judged_and_that_is_said(
    tmp_path: Path, capsys: Capture
) -> None:
    runs = [run(i, a_s=0.010 * i, b_s=0.020 * i, canary_s=None) for i in (1, 2)]
    done = checked(store(tmp_path, *runs))
    assert (done.exit, done.times, done.ratios) == (Exit.OK, 0, 1)
    assert done.blind == (CASE_A, CASE_B)
    assert main(["check", "--out", str(tmp_path), "--no-rerun"]) == 0
    assert "2 times not judged: without a canary loop" in capsys.readouterr().out


def test_one_launch_in_the_baseline_can_prove_nothing(tmp_path: Path) -> None:
    done = checked(store(tmp_path, run(1, count=1), run(2, b_s=SLOW)))
    assert (done.exit, done.flags, done.times, done.ratios) == (Exit.NOTHING, (), 0, 0)
    assert marks(tmp_path) == {}  # the next run may be held against this one
    assert checked(store(tmp_path, run(3, b_s=SLOW))).baseline == run(2).run_id


def test_a_restless_past_widens_the_fence(tmp_path: Path) -> None:
    restless = [run(i, b_s=0.020 * (1.1 if i % 2 else 1.0)) for i in range(1, 9)]
    store(tmp_path, *restless, run(9, b_s=0.0219))
    past = read(tmp_path).entries[:-1]
    assert fence(past, RATIO, normalised=False) == pytest.approx(0.11, abs=0.03)
    assert fence(past[:4], RATIO, normalised=False) is None  # three steps
    assert checked(tmp_path).flags == ()  # 9.5 % in this series is nothing new
    calm = [run(i) for i in range(20, 28)]
    store(tmp_path, *(replace(r, environment=environment(fingerprint="calm")) for r in calm))
    last = run(28, b_s=0.0219, environment=environment(fingerprint="calm"))
    assert checked(store(tmp_path, last), None).flags != ()


def test_a_new_failure_is_incomplete_and_outranks_a_regression(tmp_path: Path) -> None:
    done = checked(store(tmp_path, run(1), failed(run(2, a_s=0.02))), Again(run(3, a_s=0.02)))
    assert done.exit == Exit.INCOMPLETE
    assert [(f.what, f.status) for f in done.failed] == [(CASE_B, "crash")]
    assert done.flags[0].regressed
    assert checked(store(tmp_path, failed(run(4), status="parity_failed"))).exit == Exit.PARITY


def test_a_second_look_that_fails_is_incomplete(tmp_path: Path) -> None:
    done = checked(store(tmp_path, run(1), run(2, b_s=SLOW)), Again(failed(run(3))))
    assert done.exit == Exit.INCOMPLETE
    assert {(f.what, f.status) for f in done.failed} == {
        (CASE_B, "unconfirmed"),
        (RATIO, "unconfirmed"),
    }


def test_a_vanished_case_is_named_and_fails_unless_allowed(tmp_path: Path) -> None:
    made = run(2)
    (found,) = made.matchups
    kept = replace(found, cases=found.cases[:1], verdicts=())
    store(tmp_path, run(1), replace(made, matchups=(kept,)))
    done = checked(tmp_path)
    assert (done.exit, done.missing) == (Exit.INCOMPLETE, (CASE_B,))
    allowed = checked(tmp_path, allow_missing=True)
    assert (allowed.exit, allowed.missing) == (Exit.OK, (CASE_B,))


def test_a_bad_run_never_becomes_the_baseline_until_it_is_accepted(tmp_path: Path) -> None:
    store(tmp_path, run(1), run(2, b_s=SLOW))
    again = Again(run(9, b_s=SLOW))
    assert checked(tmp_path, again).exit == Exit.REGRESSION
    store(tmp_path, run(3, b_s=SLOW))
    for _ in range(2):
        done = checked(tmp_path, again)
        assert (done.exit, done.baseline) == (Exit.REGRESSION, run(1).run_id)
    assert accept(tmp_path, run(2).run_id) == run(2).run_id
    done = checked(tmp_path)
    assert (done.exit, done.baseline) == (Exit.OK, run(2).run_id)


def test_a_run_whose_second_look_never_came_is_no_baseline(tmp_path: Path) -> None:
    def die(_run: Run, _cases: Sequence[str], _out: Path) -> Run:
        raise KeyboardInterrupt

    store(tmp_path, run(1), run(2, b_s=SLOW))
    with pytest.raises(KeyboardInterrupt):
        checked(tmp_path, die)
    assert marks(tmp_path) == {run(2).run_id: "flagged"}
    assert checked(store(tmp_path, run(3))).baseline == run(1).run_id


def test_the_baseline_is_the_newest_sound_run_of_this_machine(tmp_path: Path) -> None:
    store(
        tmp_path,
        run(1),
        run(2, environment=environment(fingerprint="ffff")),
        run(3, exit=3),
        run(4, command=(*run(4).command, "--only", CASE_A)),
        run(5),
        run(6, command=(*run(6).command, "--only", CASE_A)),
    )
    done = checked(tmp_path)
    assert (done.run, done.baseline) == (run(5).run_id, run(1).run_id)
    with pytest.raises(NoRunError, match="no baseline"):
        checked(tmp_path, name=run(1).run_id)
    for number, why in ((3, "its exit code is 3"), (4, "it confirms another run")):
        with pytest.raises(LoadError, match=why):
            accept(tmp_path, run(number).run_id)


def test_another_machine_is_no_baseline_even_if_asked_for(tmp_path: Path) -> None:
    store(tmp_path, run(1, environment=environment(fingerprint="ffff")), run(2))
    with pytest.raises(LoadError, match="machine ffff against 3f9c2a"):
        checked(tmp_path, baseline=run(1).run_id)
    assert marks(tmp_path) == {}


def test_a_damaged_line_among_the_marks_spoils_no_other(tmp_path: Path) -> None:
    mark(tmp_path, "a", "failed")
    with (tmp_path / CHECKS).open("ab") as file:
        file.write(b'{"run_id": "b", "verd')
    mark(tmp_path, "c", "passed")
    assert marks(tmp_path) == {"a": "failed", "c": "passed"}


def test_only_the_command_of_a_run_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LoadError, match="was not made by 'python -m benchmarks run'"):
        measure_again(run(1, command=("python", "-c", "import this")), (CASE_A,), tmp_path)
    seen: list[list[str]] = []

    def locked(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        seen.append(words)
        return subprocess.CompletedProcess(words, 75, stdout="")

    monkeypatch.setattr(subprocess, "run", locked)
    store(tmp_path, run(1), run(2, b_s=SLOW))
    assert main(["check", "--out", str(tmp_path)]) == Exit.LOCKED
    assert marks(tmp_path) == {run(2).run_id: "flagged"}
    ((python, _, *words),) = seen
    assert python == sys.executable
    start, flags = run(2).command[1:4], run(2).command[4:]
    made = [*start, *map("=".join, zip(flags[::2], flags[1::2], strict=True))]
    assert words[: len(made)] == made
    only, *rest = words[len(made) :]
    assert set(only.removeprefix("--only=").split(",")) == {CASE_A, CASE_B}
    assert rest == [f"--out={tmp_path}", "--json"]


def test_the_command_line_tells_text_data_and_code_apart(tmp_path: Path, capsys: Capture) -> None:
    words = ["check", "--no-rerun", "--out", str(store(tmp_path, run(1), run(2, b_s=SLOW)))]
    assert main(words) == 1
    text = capsys.readouterr().out
    assert f"regression: {CASE_B} slower in relation to the other stack: +" in text
    assert text.endswith("verdict: regression\n")
    assert main([*words, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["exit"], found["baseline"]) == (1, 1, run(1).run_id)
    assert found["flags"][0]["found"]["factor"] == pytest.approx(1.2, abs=0.02)
    assert main([*words, "--margin", "30%"]) == 0
    assert main([*words, "--accept"]) == 0
    assert marks(tmp_path)[run(2).run_id] == "accepted"
    assert main(["check", run(1).run_id, "--out", str(tmp_path)]) == Exit.NOTHING


def test_the_whole_gate_with_whole_runs(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Runs on a machine in this process, a minute apart, with null-b slowed in some of them."""
    again: dict[str, float] = {}
    minutes = (FIRST + timedelta(minutes=i) for i in count())

    def here(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        code = pipeline.call(*words[words.index("run") + 1 :], **again).code
        return subprocess.CompletedProcess(words, code, stdout=capsys.readouterr().out)

    def measured(**control: float) -> None:
        assert pipeline.run("--phases", "forward", "--launches", "3", **control).code == 0

    def told(**control: float) -> dict[str, Any]:
        again.clear()
        again.update(control)
        capsys.readouterr()
        code = main(["check", "--json", *OURS, "--out", str(pipeline.out)])
        shown = capsys.readouterr()
        assert shown.out, shown.err
        found: dict[str, Any] = json.loads(shown.out)
        assert found["exit"] == code
        return found

    monkeypatch.setattr(check, "subprocess", SimpleNamespace(run=here, PIPE=subprocess.PIPE))
    monkeypatch.setattr(session, "datetime", SimpleNamespace(now=lambda _: next(minutes)))
    pipeline.inside()
    measured()
    measured()
    unchanged = told()
    assert (unchanged["exit"], unchanged["flags"]) == (0, [])

    measured(slow=1.5)
    cleared = told()  # the second look finds the stack as it was
    assert (cleared["exit"], cleared["baseline"]) == (0, unchanged["run"])
    # The ratio is flagged, and the time in canary loops, too.
    assert [flag["regressed"] for flag in cleared["flags"]] == [False, False]

    measured(slow=1.5)
    _assert_confirmed(told(slow=1.5))

    measured()
    mended = told()
    # Not a slow run in between, and nothing is flagged against the sound one.
    assert (mended["exit"], mended["baseline"]) == (0, unchanged["run"])
    assert mended["flags"] == []


def _assert_confirmed(slowed: dict[str, Any]) -> None:
    """A document of ``check`` whose second look saw null-b half as slow again, too."""
    assert slowed["exit"] == Exit.REGRESSION
    assert [flag["regressed"] for flag in slowed["flags"]] == [True, True]
    assert {flag["slower"].rpartition(".")[2] for flag in slowed["flags"]} == {"null-b"}
    assert {flag["found"]["kind"] for flag in slowed["flags"]} == {"ratio", "time"}
    for flag in slowed["flags"]:
        assert flag["found"]["factor"] == pytest.approx(1.5, rel=0.01)
        assert flag["pooled"]["launches"] == [3, 6]
    assert slowed["confirmation"] != slowed["run"]
