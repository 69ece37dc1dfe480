"""The store survives what happens to files: other writers, cut-short writes, age and numbers."""

from __future__ import annotations

import gc
import gzip
import json
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.results.stored.codec import decode, encode
from reports.runs import store as store_module
from reports.runs.load import NoRunError
from reports.runs.store import FORMAT, INDEX, _Line, point, read
from reports.trends.history import history
from tests import report_samples as samples
from tests.pipeline import ROOT
from tests.report_series import CASE_A, MATCHUP, RATIO, A, B, failed, run, store

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import sys
from pathlib import Path
from reports.runs.store import read
from tests.report_series import run, store
out, first = Path(sys.argv[1]), int(sys.argv[2])
for number in range(first, first + 12):
    store(out, run(number))
    read(out)
"""


def ids(out: Path) -> list[str]:
    entries, skipped = read(out)
    assert skipped == ()
    return [entry.run_id for entry in entries]


def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads a run now fails."""

    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(store_module, "load", refuse)


def test_runs_come_oldest_first_with_their_figures(tmp_path: Path) -> None:
    runs = [run(2), run(1), failed(run(3))]
    (tmp_path / "20260101T090000Z-goes-on").mkdir()
    (tmp_path / "verify.json").write_text("[]")
    (store(tmp_path, *runs) / "latest").symlink_to(runs[0].run_id)
    first, second, third = read(tmp_path).entries
    assert [e.run_id for e in (first, second, third)] == [
        runs[1].run_id,
        runs[0].run_id,
        runs[2].run_id,
    ]
    assert (first.fingerprint, first.exit, third.exit) == ("3f9c2a", 0, 3)
    assert first.versions == {
        "torch": "2.15.0",
        "tensorflow": "2.21.0",
        "keras": "3.15.1",
        "numpy": "2.4",
    }
    time_, ratio = point(first, CASE_A), point(first, RATIO)
    assert time_ is not None
    assert ratio is not None
    assert time_.value == pytest.approx(0.010, rel=0.02)
    assert time_.normalised == pytest.approx(10, rel=0.02)
    assert ratio.value == runs[1].matchups[0].verdicts[0].ratio
    lost = point(third, RATIO)
    assert lost is not None
    assert lost.value is None
    assert "crash: it died" in (lost.reason or "")
    assert point(third, "nothing") is None


def test_a_time_is_normalised_only_where_every_launch_has_a_canary(tmp_path: Path) -> None:
    made = run(1)
    (found,) = made.matchups
    case = found.cases[0]
    bare = replace(
        case, launches=(replace(case.launches[0], interference=None), *case.launches[1:])
    )
    store(tmp_path, replace(made, matchups=(replace(found, cases=(bare, found.cases[1])),)))
    (entry,) = read(tmp_path).entries
    assert [point(entry, c.id).normalised is None for c in found.cases] == [True, False]  # type: ignore[union-attr]


def test_a_run_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read(store(tmp_path, run(1), run(2)))
    unread(monkeypatch)
    assert read(tmp_path) == before
    assert gc.isenabled()  # it is off only while a store is read


def test_a_run_that_was_replaced_is_read_again_and_one_that_is_gone_is_not_shown(
    tmp_path: Path,
) -> None:
    first, second = run(1), run(2)
    read(store(tmp_path, first, second))
    store(tmp_path, failed(first))
    (tmp_path / second.run_id / "run.json").unlink()
    (entry,) = read(tmp_path).entries
    assert (entry.run_id, entry.exit) == (first.run_id, 3)


@pytest.mark.parametrize("cut", [1, 40, 400])
def test_a_damaged_cache_is_made_again(tmp_path: Path, cut: int) -> None:
    before = read(store(tmp_path, run(1), run(2)))
    index = tmp_path / INDEX
    good = index.read_bytes()
    for damaged in (good[:-cut], good.replace(b"ok", b"no", 1), b"\xff" + good[cut:], b"{}\n[]\n"):
        index.write_bytes(damaged)
        assert read(tmp_path) == before
        assert read(tmp_path) == before


def test_the_cache_does_not_grow_with_runs_that_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "BATCH", 4)
    for number in range(12):
        made = run(1, a_s=0.01 * 1.1**number)
        read(store(tmp_path, made))
    lines = [line for line in (tmp_path / INDEX).read_bytes().split(b"\n") if line]
    assert len(lines) <= 6
    unread(monkeypatch)
    assert ids(tmp_path) == [made.run_id]


def test_a_store_that_cannot_be_written_is_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module, "append", full)
    assert ids(store(tmp_path, run(1))) == [run(1).run_id]
    assert not (tmp_path / INDEX).exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encode(run(9)).decode()[:-100], "truncated"),
        ("", "truncated"),
        ("[1, 2]", "not a run"),
        ('{"schema": 99}', "schema 99 is newer"),
    ],
)
def test_a_file_that_is_no_run_costs_one_line(tmp_path: Path, content: str, reason: str) -> None:
    store(tmp_path, run(1))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "run.json").write_text(content)
    for _ in range(2):  # it may be mended, or twinbench updated: nothing about it is cached
        entries, (line,) = read(tmp_path)
        assert [e.run_id for e in entries] == [run(1).run_id]
        assert line.startswith(f"skipped: {tmp_path / 'foreign' / 'run.json'}: ")
        assert reason in line


def test_an_older_schema_is_read(tmp_path: Path) -> None:
    older = decode(dict[str, Any], encode(run(2))) | {"schema": 1}
    for found in older["matchups"]:
        found.update(found.pop("matchup"))
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "run.json").write_text(json.dumps(older))
    store(tmp_path, run(1))
    one, two = read(tmp_path).entries
    assert (one.run_id, two.run_id) == (run(1).run_id, run(2).run_id)
    assert two.ratios.keys() == one.ratios.keys()
    assert point(two, RATIO) == point(read(store(tmp_path / "new", run(2))).entries[0], RATIO)


def test_a_compressed_run_is_read(tmp_path: Path) -> None:
    folder = store(tmp_path, run(1)) / run(1).run_id
    (folder / "run.json.gz").write_bytes(gzip.compress((folder / "run.json").read_bytes()))
    (folder / "run.json").unlink()
    assert ids(tmp_path) == [run(1).run_id]


def test_no_store_and_no_run_are_said(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NoRunError, match="no run below"):
            read(out)


def test_the_hostile_samples_have_a_history(tmp_path: Path) -> None:
    samples.write(tmp_path / "a", samples.hostile_run())
    samples.write(tmp_path / "b", samples.failing_run())
    entries, skipped = read(tmp_path)
    assert (len(entries), skipped) == (2, ())
    for entry in entries:
        for key in (*entry.cases, *entry.ratios):
            found = point(entry, key)
            assert found is not None
            assert (found.value is None) == (found.reason is not None)


@pytest.mark.slow
def test_writers_at_the_same_time_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(first)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
        )
        for first in (0, 100, 200)
    ]
    for writer in writers:
        assert writer.communicate()[1] == b""
        assert writer.returncode == 0
    lines = [line for line in (tmp_path / INDEX).read_bytes().split(b"\n") if line]
    assert all(store_module._unsealed(line) for line in lines)
    unread(monkeypatch)
    assert len(ids(tmp_path)) == 36


@pytest.mark.slow
def test_two_thousand_known_runs_are_read_without_opening_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 24 cases each."""
    (entry,) = read(store(tmp_path, run(1))).entries
    case, ratio = entry.cases[CASE_A], entry.ratios[RATIO]
    full = replace(
        entry,
        cases={f"model{i}.{CASE_A}": case for i in range(23)} | {CASE_A: case},
        ratios={f"model{i}.{RATIO}": ratio for i in range(23)} | {RATIO: ratio},
    )
    lines = []
    for number in range(2_000):
        made = replace(full, folder=f"run{number:05}", run_id=f"run{number:05}")
        folder = tmp_path / made.folder
        folder.mkdir()
        (folder / "run.json").touch()
        stamp = ((folder / "run.json").stat().st_mtime_ns, 0)
        lines.append(store_module._sealed(_Line(FORMAT, stamp, made)) + b"\n")
    with (tmp_path / INDEX).open("ab") as file:
        file.writelines(lines)
    unread(monkeypatch)
    started = time.process_time()
    entries, skipped = read(tmp_path)
    shown = history(entries, (MATCHUP.id, A, B))
    seconds = time.process_time() - started
    assert (len(entries), skipped, len(shown.rows)) == (2_001, (), 2_001)
    assert seconds < 10, seconds  # of this process alone, so that a busy machine changes little
