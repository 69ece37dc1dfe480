"""Two runs beside each other: movers first, and nothing that could not be compared is hidden."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from scipy.stats import ttest_ind

from benchmarks.results.machine import Environment, Floor
from benchmarks.results.records import Matchup, Run
from reports.__main__ import main
from reports.compare import Shift, compare, shift
from reports.load import LoadError
from tests import report_samples as samples
from tests.report_series import (
    CASE_A,
    CASE_B,
    MATCHUP,
    RATIO,
    A,
    B,
    case,
    environment,
    failed,
    result,
    run,
    store,
)

if TYPE_CHECKING:
    from pathlib import Path

OTHER = replace(MATCHUP, phase="train_step")
Capture = pytest.CaptureFixture[str]


def by_key(shifts: tuple[Shift, ...]) -> dict[str, Shift]:
    return {found.key: found for found in shifts}


def with_more(made: Run, matchup: Matchup, middle_s: float) -> Run:
    """The run with a second matchup, of stack a alone."""
    rng = random.Random(made.run_id)  # noqa: S311  plausible times, no secrets
    extra = replace(case(A, middle_s, rng, None, 3), id=matchup.case_id(A))
    return replace(made, matchups=(*made.matchups, result(extra, matchup=matchup)))


def test_the_interval_is_welchs() -> None:
    before, after = (0.1, 0.14, 0.09), (0.22, 0.25, 0.2, 0.31)
    found = shift("time", "x", ["x"], before, after)
    known = ttest_ind(after, before, equal_var=False).confidence_interval(0.95)
    assert found.log == pytest.approx(sum(after) / 4 - sum(before) / 3)
    assert found.ci95 == pytest.approx((known.low, known.high))


def test_launches_without_spread_and_single_ones() -> None:
    assert shift("time", "x", ["x"], (0.0, 0.0), (0.5, 0.5)).ci95 == (0.5, 0.5)
    alone = shift("time", "x", ["x"], (0.0,), (0.5, 0.6))
    assert alone.ci95 is None
    assert not alone.clears(0.0)


def test_what_moved_comes_first_with_its_interval() -> None:
    done = compare(run(1), run(2, b_s=0.024))
    assert [found.key for found in done.movers] == [RATIO, CASE_B] or [
        found.key for found in done.movers
    ] == [CASE_B, RATIO]
    shifts = by_key(done.shifts)
    for key in (CASE_B, RATIO):
        found = shifts[key]
        assert found.log == pytest.approx(math.log(1.2), abs=0.01)
        assert found.ci95 is not None
        assert found.ci95[0] < found.log < found.ci95[1]
    assert not shifts[CASE_A].clears(done.margin)
    assert shifts[RATIO].slower == CASE_B
    assert by_key(compare(run(1), run(2, a_s=0.012)).shifts)[RATIO].slower == CASE_A


def test_an_unchanged_run_has_no_movers() -> None:
    done = compare(run(1), run(2))
    assert done.movers == ()
    assert (done.compared, done.total, done.margin) == ((CASE_A, CASE_B), 2, 0.02)


def test_the_margin_is_the_larger_floor_or_what_is_asked() -> None:
    rough = run(2, aa_floor=Floor(value=0.04))
    assert compare(run(1), rough).margin == pytest.approx(0.04)
    assert compare(run(1), rough, 0.3).margin == 0.3
    assert compare(run(1), run(2, aa_floor=Floor())).margin == 0.02


def test_coverage_names_what_is_in_one_run_only() -> None:
    done = compare(with_more(run(1), OTHER, 0.1), run(2))
    assert (len(done.compared), done.total) == (2, 3)
    assert (done.only_a, done.only_b) == ((OTHER.case_id(A),), ())
    assert compare(run(1), with_more(run(2), OTHER, 0.1)).only_b == (OTHER.case_id(A),)


def test_new_failures_and_mended_cases_are_told_apart() -> None:
    done = compare(run(1), failed(run(2)))
    (lost,) = done.failed
    assert (lost.what, lost.status, lost.reason) == (CASE_B, "crash", "it died")
    assert [found.key for found in done.shifts] == [CASE_A]
    assert done.mended == ()
    (mended,) = compare(failed(run(1)), run(2)).mended
    assert mended.what == CASE_B


def test_a_verdict_that_is_gone_is_a_failure_of_its_own() -> None:
    made = run(2)
    (found,) = made.matchups
    gone = replace(found.verdicts[0], verdict="not comparable", ratio=None, reason="not proven")
    done = compare(run(1), replace(made, matchups=(replace(found, verdicts=(gone,)),)))
    (lost,) = done.failed
    assert (lost.what, lost.status, lost.reason) == (RATIO, "not comparable", "not proven")
    assert RATIO not in by_key(done.shifts)


def test_normalised_times_leave_out_those_without_a_canary() -> None:
    slow = run(2, a_s=0.012, b_s=0.024, canary_s=0.0012)
    assert compare(run(1), slow).movers
    done = compare(run(1), slow, normalised=True)
    assert {found.key for found in done.shifts} == {CASE_A, CASE_B, RATIO}
    assert done.movers == ()
    bare = compare(run(1), run(2, canary_s=None), normalised=True)
    assert [found.key for found in bare.shifts] == [RATIO]


def test_other_machines_are_refused_with_what_differs() -> None:
    other = run(2, environment=environment(fingerprint="ffff", cores=64, cpu="Other"))
    with pytest.raises(LoadError) as caught:
        compare(run(1), other)
    assert "machine 3f9c2a against ffff" in str(caught.value)
    assert "cpu AMD EPYC 7B13 against Other; cores 2 against 64" in str(caught.value)
    assert "memory" not in str(caught.value)
    nameless = run(1, environment=Environment())
    with pytest.raises(LoadError, match="machine unknown against unknown"):
        compare(nameless, nameless)


def test_the_command_line_shows_both_forms(tmp_path: Path, capsys: Capture) -> None:
    first, second = run(1), run(2, b_s=0.024, environment=environment(versions={"torch": "3.0"}))
    out = ["--out", str(store(tmp_path, first, second))]
    assert main(["compare", first.run_id, second.run_id, *out]) == 0
    text = capsys.readouterr().out
    assert "2 of 2 cases compared" in text
    assert "torch 2.15.0 → 3.0" in text
    assert text.index(CASE_B) < text.index("2 moved by more than 2 % for sure, 1 did not")
    assert "+20." in text or "+19." in text
    assert main(["compare", first.run_id, second.run_id, "--json", *out]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [s["mover"] for s in found["shifts"]] == [True, True, False]
    assert found["shifts"][0]["factor"] == pytest.approx(1.2, abs=0.02)
    assert found["compared"] == [CASE_A, CASE_B]
    assert A != B


def test_hostile_names_are_shown_and_not_obeyed(tmp_path: Path, capsys: Capture) -> None:
    samples.write(tmp_path / "a", samples.hostile_run())
    samples.write(tmp_path / "b", replace(samples.hostile_run(), matchups=()))
    for names in ("aa", "ab", "ba"):
        assert main(["compare", *names, "--out", str(tmp_path)]) == 0
        shown = capsys.readouterr().out
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert main(["check", "--no-rerun", "--baseline", "a", "b", "--out", str(tmp_path)]) == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["compare", "a", "no-such-run"], 2),
        (["compare", "a", "a", "--margin", "5"], None),
        (["compare", "a", "a", "--margin", "much"], None),
        (["compare", "a", "a", "--margin", "5%"], 0),
        (["compare", "a", "other"], 2),
    ],
)
def test_what_cannot_be_done_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int | None
) -> None:
    store(tmp_path, run(1, run_id="a"))
    store(tmp_path, run(2, run_id="other", environment=environment(fingerprint="ffff")))
    monkeypatch.chdir(tmp_path)
    if code is None:
        with pytest.raises(SystemExit):  # argparse itself
            main(words)
    else:
        assert main([*words, "--out", "."]) == code
