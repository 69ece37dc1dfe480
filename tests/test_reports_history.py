"""A history shows one series of one machine, with what changed and what came with it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from benchmarks.results.records import Run
from reports.__main__ import main
from reports.runs.load import LoadError
from reports.runs.store import read
from reports.trends.history import History, history
from reports.trends.timeline import timeline
from tests.report_series import CASE_A, CASE_B, MATCHUP, A, B, environment, failed, run, store

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = {"torch": "2.16.0", "tensorflow": "2.21.0", "keras": "3.15.1", "numpy": "2.4"}
Capture = pytest.CaptureFixture[str]


def stepped(count: int = 20, step: int = 12) -> list[Run]:
    """Stack b takes 10 % longer from run ``step`` on, which brought a new PyTorch."""
    new = environment(versions=VERSIONS)
    old = [run(i) for i in range(step)]
    return old + [run(i, b_s=0.022, environment=new) for i in range(step, count)]


def of(out: Path, *names: str, machine: str | None = None) -> History:
    return history(read(out).entries, names, machine)


def changes(shown: History) -> dict[int, float]:
    return {i: row.change for i, row in enumerate(shown.rows) if row.change is not None}


def test_a_ratio_has_its_change_point_and_the_versions_that_came_with_it(tmp_path: Path) -> None:
    shown = of(store(tmp_path, *stepped()), MATCHUP.id, A, B)
    assert (shown.unit, shown.judged, shown.fingerprint) == ("ratio", "ratios", "3f9c2a")
    assert changes(shown) == {12: pytest.approx(0.1, abs=0.01)}
    marked = {i: row.versions for i, row in enumerate(shown.rows) if row.versions}
    assert marked == {12: ("torch 2.15.0 → 2.16.0",)}
    row = shown.rows[12]
    assert row.value == pytest.approx(2.2, rel=0.02)
    assert row.ci95 is not None
    assert row.ci95[0] < row.value < row.ci95[1]  # type: ignore[operator]
    assert row.delta == pytest.approx(0.1, abs=0.02)
    assert shown.rows[0].delta is None


def test_a_ratio_is_found_the_other_way_round(tmp_path: Path) -> None:
    shown = of(store(tmp_path, *stepped()), MATCHUP.id, B, A)
    assert changes(shown) == {12: pytest.approx(1 / 1.1 - 1, abs=0.01)}
    row = shown.rows[0]
    assert row.value == pytest.approx(0.5, rel=0.02)
    assert row.ci95 is not None
    assert row.ci95[0] < row.value < row.ci95[1]  # type: ignore[operator]
    assert shown.key == f"{MATCHUP.id} {B} {A}"


def test_times_are_judged_in_canary_loops_so_that_the_machine_cancels(tmp_path: Path) -> None:
    """From run 12 on the whole machine is 20 % slower, and case b 10 % on top of that."""
    runs = [run(i) for i in range(12)]
    runs += [run(i, a_s=0.012, b_s=0.0264, canary_s=0.0012) for i in range(12, 20)]
    store(tmp_path, *runs)
    assert changes(of(tmp_path, CASE_A)) == {}
    shown = of(tmp_path, CASE_B)
    assert changes(shown) == {12: pytest.approx(0.1, abs=0.01)}
    assert (shown.unit, shown.judged) == ("s", "times in canary loops")
    assert shown.rows[0].value == pytest.approx(0.020, rel=0.02)
    assert shown.rows[0].normalised == pytest.approx(20, rel=0.02)


def test_without_canaries_times_are_judged_as_they_are(tmp_path: Path) -> None:
    runs = [run(i, canary_s=None) for i in range(12)]
    runs += [run(i, a_s=0.012, canary_s=None) for i in range(12, 20)]
    shown = of(store(tmp_path, *runs), CASE_A)
    assert shown.judged == "times"
    assert changes(shown) == {12: pytest.approx(0.2, abs=0.01)}


def test_a_failed_case_leaves_a_gap_with_its_reason(tmp_path: Path) -> None:
    shown = of(store(tmp_path, run(0), failed(run(1)), run(2)), CASE_B)
    assert [row.value is None for row in shown.rows] == [False, True, False]
    assert shown.rows[1].reason == "crash: it died"
    assert shown.rows[1].delta is None
    assert shown.rows[2].delta is not None  # the step from the last value


def test_machines_are_never_mixed(tmp_path: Path, capsys: Capture) -> None:
    other = [run(i, environment=environment(fingerprint="ffff")) for i in range(3)]
    store(tmp_path, *other, *(run(i) for i in range(3, 5)))
    shown = of(tmp_path, CASE_A)
    assert (len(shown.rows), shown.fingerprint, shown.others) == (2, "3f9c2a", ("ffff",))
    assert len(of(tmp_path, CASE_A, machine="ffff").rows) == 3
    with pytest.raises(LoadError, match="no run of machine 'eeee'; there are: 3f9c2a, ffff"):
        of(tmp_path, CASE_A, machine="eeee")
    assert main(["history", CASE_A, "--out", str(tmp_path)]) == 0
    assert "left out: ffff (see --fingerprint)" in capsys.readouterr().out


def test_a_confirmation_is_no_point_of_a_history(tmp_path: Path) -> None:
    command = (*run(0).command, "--only", CASE_A)
    shown = of(store(tmp_path, run(0), run(1, command=command)), CASE_A)
    assert [row.run_id for row in shown.rows] == [run(0).run_id]


def test_names_that_are_not_there_are_answered_with_the_nearest(
    tmp_path: Path, capsys: Capture
) -> None:
    store(tmp_path, run(0))
    out = ("--out", str(tmp_path))
    for names, message in (
        ((CASE_A.replace("mlp", "mpl"),), f"no case .*; the nearest: {CASE_A}"),
        ((MATCHUP.id, "torch-eager", "jax-xla"), f"the nearest: {MATCHUP.id} {A} {B}"),
        ((MATCHUP.id, A), "name a case, or a matchup and two stacks"),
    ):
        assert main(["history", *names, *out]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert re.fullmatch(f"error: .*{message}.*\n", shown.err)
    assert main(["history", CASE_A, "--out", str(tmp_path / "nowhere")]) == 5


def test_the_command_line_shows_the_table_the_document_and_the_picture(
    tmp_path: Path, capsys: Capture
) -> None:
    words = ["history", MATCHUP.id, A, B, "--out", str(store(tmp_path, *stepped()))]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "1 change point, sought in ratios" in text
    (line,) = [line for line in text.splitlines() if "▲" in line]
    assert "torch 2.15.0 → 2.16.0" in line
    assert "2026-01-01 12:00 UTC" in line
    picture = tmp_path / "h.png"
    assert main([*words, "--json", "--png", str(picture)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], len(found["rows"])) == (1, 20)
    assert [i for i, row in enumerate(found["rows"]) if row["change"]] == [12]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_file_that_was_skipped_is_one_line_on_stderr(tmp_path: Path, capsys: Capture) -> None:
    (store(tmp_path, run(0)) / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text("{")
    assert main(["history", CASE_A, "--out", str(tmp_path), "--json"]) == 0
    shown = capsys.readouterr()
    assert re.fullmatch(r"warning: skipped: .*bad.*run\.json: .*\n", shown.err)
    json.loads(shown.out)


def test_the_picture_marks_changes_and_versions(tmp_path: Path) -> None:
    figure = timeline(of(store(tmp_path, *stepped()), MATCHUP.id, A, B))
    assert figure is not None
    (ax,) = figure.axes
    words = [note.get_text() for note in ax.texts]
    assert words == [f"{words[0].splitlines()[0]}\ntorch 2.15.0 → 2.16.0"]
    assert words[0].startswith("+10.")
    assert ax.get_ylabel() == "ratio"


def test_there_is_no_picture_of_nothing(tmp_path: Path, capsys: Capture) -> None:
    store(tmp_path, failed(run(0)))
    picture = tmp_path / "h.png"
    assert main(["history", CASE_B, "--out", str(tmp_path), "--png", str(picture)]) == 2
    assert "no run has a value to draw" in capsys.readouterr().err
    assert not picture.exists()
