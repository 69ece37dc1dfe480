"""Files that a run leaves behind are data: no link is followed, no pipe is waited for."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.machine.locks import DeviceLock
from benchmarks.results.stored import journal
from benchmarks.results.stored.journal import Journal, JournalError
from reports.runs import baselines, store
from reports.runs.load import LoadError, latest, load_run
from tests.report_series import run
from tests.report_series import store as stored


def linked(path: Path) -> Path:
    """A file elsewhere that ``path`` is a link to."""
    victim = path.parent.parent / "victim"
    victim.write_text("precious\n")
    path.unlink(missing_ok=True)
    path.symlink_to(victim)
    return victim


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def device(path: Path) -> None:
    """A socket, which is no file either."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as one:
        os.chdir(path.parent)
        one.bind(path.name)


ODD: list[Callable[[Path], object]] = [linked, fifo, folder, device]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with one run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    return stored(tmp_path / "results", run(1))


@pytest.mark.parametrize("odd", ODD)
def test_a_journal_that_is_no_file_is_neither_read_nor_added_to(
    out: Path, odd: Callable[[Path], object]
) -> None:
    path = out / "journal.ndjson"
    found = odd(path)
    for use in (journal.read, Journal, Journal.resume):
        with pytest.raises(JournalError, match=r"journal\.ndjson: ") as caught:
            use(path)
        assert "\n" not in str(caught.value)
    assert not isinstance(found, Path) or found.read_text() == "precious\n"


def test_damaged_lines_are_not_written_through_a_link(out: Path) -> None:
    path = out / "journal.ndjson"
    path.write_text("damaged\n")
    victim = linked(path.with_name("journal.ndjson.bad"))
    with pytest.raises(JournalError, match=r"journal\.ndjson\.bad: "):
        Journal.resume(path)
    assert victim.read_text() == "precious\n"
    assert path.read_text() == "damaged\n"


@pytest.mark.parametrize("odd", ODD)
def test_a_run_that_is_no_file_is_not_read(out: Path, odd: Callable[[Path], object]) -> None:
    (file,) = out.glob("*/run.json")
    odd(file)
    with pytest.raises(LoadError, match=r"run\.json") as caught:
        load_run(file)
    assert "\n" not in str(caught.value)


def test_a_link_to_a_run_elsewhere_is_not_read(out: Path, tmp_path: Path) -> None:
    (file,) = out.glob("*/run.json")
    file.rename(tmp_path / "other.json")
    file.symlink_to(tmp_path / "other.json")
    with pytest.raises(LoadError, match=r"run\.json: is a link, which is not followed"):
        load_run(file)


@pytest.mark.parametrize("odd", ODD)
def test_the_index_is_neither_read_nor_added_to_where_it_is_no_file(
    out: Path, odd: Callable[[Path], object]
) -> None:
    index = out / store.INDEX
    found = odd(index)
    assert len(store.read(out).entries) == 1  # it is a cache: the runs themselves are read
    assert not isinstance(found, Path) or found.read_text() == "precious\n"


@pytest.mark.parametrize("odd", ODD)
def test_the_marks_are_neither_read_nor_added_to_where_they_are_no_file(
    out: Path, odd: Callable[[Path], object]
) -> None:
    found = odd(out / baselines.CHECKS)
    with pytest.raises(OSError, match=r"\.checks\.ndjson"):
        baselines.marks(out)
    with pytest.raises(OSError, match=r"\.checks\.ndjson"):
        baselines.mark(out, run(1).run_id, "accepted")
    assert not isinstance(found, Path) or found.read_text() == "precious\n"


def test_latest_leads_to_no_run_elsewhere(out: Path, tmp_path: Path) -> None:
    stored(tmp_path / "elsewhere", run(2))
    (out / "latest").symlink_to(tmp_path / "elsewhere" / run(2).run_id)
    assert latest(out) == out / run(1).run_id
    (out / "latest").unlink()
    journal.point_latest(out, run(1).run_id)
    assert latest(out) == out / run(1).run_id


def test_a_run_folder_that_is_a_link_is_not_resumed(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "journal.ndjson").write_text(json.dumps({"kind": "run"}))
    (out / "linked").symlink_to(tmp_path / "elsewhere")
    assert main(["run", "--resume", "linked", "--out", str(out)]) == 2
    assert "there is no run 'linked' to resume" in capsys.readouterr().err
    assert main(["run", "--resume", "../elsewhere", "--out", str(out)]) == 2
    assert "there is no run '../elsewhere' to resume" in capsys.readouterr().err


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_who_may_read_what_is_added_to_is_what_the_umask_says(out: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        Journal(out / "journal.ndjson").close()
        store.read(out)
        baselines.mark(out, run(1).run_id, "accepted")
    finally:
        os.umask(before)
    for name in ("journal.ndjson", store.INDEX, baselines.CHECKS):
        assert stat.S_IMODE((out / name).stat().st_mode) == 0o666 & ~umask


def test_a_hard_link_is_not_written_to(out: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    for path in (out / "journal.ndjson", out / baselines.CHECKS):
        path.hardlink_to(victim)
    with pytest.raises(JournalError, match="has other names"):
        Journal(out / "journal.ndjson")
    with pytest.raises(OSError, match="has other names"):
        baselines.mark(out, run(1).run_id, "accepted")
    lock = DeviceLock("cpu", tmp_path)
    lock.path.parent.mkdir(parents=True, exist_ok=True)
    lock.path.hardlink_to(victim)
    with pytest.raises(JournalError, match="has other names"):
        lock.__enter__()
    assert victim.read_text() == "precious\n"
