"""What is finished is never lost: full disks, cut files, killed writers, two runs at once."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from benchmarks.machine.locks import DeviceLock, Locked
from benchmarks.results.stored import journal
from benchmarks.results.stored.journal import (
    Journal,
    JournalError,
    create_run,
    new_run_id,
    point_latest,
    read,
    write_atomic,
)

ROOT = Path(__file__).parents[1]


def start(code: str, *args: object) -> subprocess.Popen[str]:
    """Run code in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def refuse(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def numbered(path: Path, count: int) -> bytes:
    """A journal of numbered entries; returns its bytes."""
    with Journal(path) as log:
        for number in range(count):
            log.append("launch", number=number)
    return path.read_bytes()


def numbers(path: Path) -> tuple[list[int], int]:
    entries, damaged = read(path)
    return [entry["number"] for entry in entries], damaged


class TestWriteAtomic:
    """A file is the old one or the new one."""

    @pytest.mark.parametrize("data", ["grün\n", "grün\n".encode(), "", "x" * 300_000])
    def test_the_content_arrives_and_nothing_else(self, tmp_path: Path, data: str | bytes) -> None:
        path = tmp_path / "run.json"
        path.write_text("old")
        write_atomic(path, data)
        assert path.read_bytes() == (data if isinstance(data, bytes) else data.encode())
        assert files(tmp_path) == ["run.json"]

    def test_others_may_read_it_as_any_new_file(self, tmp_path: Path) -> None:
        write_atomic(tmp_path / "a", "x")
        (tmp_path / "b").write_text("x")
        assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode

    def test_the_data_is_on_the_disk_before_it_has_the_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps: list[str] = []

        def spy(name: str) -> Callable[..., Any]:
            real = getattr(os, name)

            def call(*args: Any) -> Any:
                steps.append(name)
                return real(*args)

            return call

        for name in ("fsync", "replace"):
            monkeypatch.setattr(os, name, spy(name))
        write_atomic(tmp_path / "run.json", "x")
        assert steps == ["fsync", "replace", "fsync"]

    @pytest.mark.parametrize("step", ["fsync", "replace"])
    def test_a_full_disk_leaves_the_old_file_and_no_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        path = tmp_path / "run.json"
        path.write_text("old")
        with monkeypatch.context() as patch:
            patch.setattr(os, step, refuse)
            with pytest.raises(JournalError) as caught:
                write_atomic(path, "new")
        assert str(caught.value) == f"cannot write {path}: No space left on device"
        assert path.read_text() == "old"
        assert files(tmp_path) == ["run.json"]

    def test_a_file_that_may_not_grow_is_not_half_written(self, tmp_path: Path) -> None:
        path = tmp_path / "run.json"
        path.write_text("old")
        code = (
            "import resource, sys; from pathlib import Path\n"
            "from benchmarks.results.stored import journal\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
            "try: journal.write_atomic(Path(sys.argv[1]), 'x' * 10_000)\n"
            "except journal.JournalError as error: print(error)\n"
        )
        with start(code, path) as process:
            assert line(process) == f"cannot write {path}: File too large"
        assert path.read_text() == "old"
        assert files(tmp_path) == ["run.json"]

    def test_an_interrupt_leaves_no_temporary_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", interrupt)
            with pytest.raises(KeyboardInterrupt):
                write_atomic(tmp_path / "run.json", "new")
        assert files(tmp_path) == []

    def test_a_missing_folder_is_one_clear_line(self, tmp_path: Path) -> None:
        path = tmp_path / "gone" / "run.json"
        with pytest.raises(JournalError, match="No such file or directory") as caught:
            write_atomic(path, "x")
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


class TestAppend:
    """One entry, one line, on the disk when append returns."""

    def test_an_entry_comes_back_as_it_went_in(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.ndjson"
        data: dict[str, Any] = {
            "case": "grün\n\x00\u2028",
            "samples_s": [0.1, 1e-300, 3],
            "none": None,
            "deep": {},
        }
        before = datetime.now(UTC)
        with Journal(path) as log:
            log.append("launch", **data)
            log.append("end")
        entries, damaged = read(path)
        assert damaged == 0
        stamps = [entry.pop("at") for entry in entries]
        assert entries == [{"kind": "launch", **data}, {"kind": "end"}]
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", s) for s in stamps)
        assert abs(datetime.fromisoformat(stamps[0]) - before) < timedelta(minutes=1)

    def test_every_line_is_json_of_its_own(self, tmp_path: Path) -> None:
        lines = numbered(tmp_path / "journal.ndjson", 3).splitlines()
        assert [json.loads(one)["number"] for one in lines] == [0, 1, 2]
        assert all(re.fullmatch("[0-9a-f]{8}", json.loads(one)["sum"]) for one in lines)

    def test_opening_again_goes_on(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.ndjson"
        numbered(path, 2)
        numbered(path, 1)
        assert numbers(path) == ([0, 1, 0], 0)

    def test_it_is_on_the_disk_before_append_returns(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced = []
        path = tmp_path / "journal.ndjson"
        with Journal(path) as log, monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
            log.append("launch")
        assert synced == [path.stat().st_size]

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
    def test_what_is_not_json_is_refused_whole(self, tmp_path: Path, value: object) -> None:
        path = tmp_path / "journal.ndjson"
        with Journal(path) as log:
            with pytest.raises(JournalError, match="entry 'launch' cannot be written as JSON"):
                log.append("launch", samples_s=[1.0, value])
            log.append("end")
        assert [entry["kind"] for entry in read(path)[0]] == ["end"]
        assert len(path.read_bytes().splitlines()) == 1

    @pytest.mark.parametrize("key", ["kind", "at", "sum"])
    def test_the_keys_of_the_journal_are_its_own(self, tmp_path: Path, key: str) -> None:
        with (
            Journal(tmp_path / "journal.ndjson") as log,
            pytest.raises(JournalError, match=f"the journal itself writes {key}"),
        ):
            log.append("launch", **{key: 1})

    def test_a_device_that_is_full_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("benchmarks.results.stored.files.opened", os.open)
        with (
            Journal(Path("/dev/full")) as log,
            pytest.raises(JournalError, match="cannot write /dev/full: No space left on device"),
        ):
            log.append("launch")

    @pytest.mark.parametrize("step", ["write", "fsync"])
    def test_a_full_disk_says_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        path = tmp_path / "journal.ndjson"
        numbered(path, 2)
        with Journal(path) as log, monkeypatch.context() as patch:
            patch.setattr(os, step, refuse)
            with pytest.raises(JournalError) as caught:
                log.append("launch", number=2)
        assert str(caught.value) == f"cannot write {path}: No space left on device"
        assert numbers(path)[0][:2] == [0, 1]

    def test_a_write_cut_short_damages_no_other_entry(self, tmp_path: Path) -> None:
        code = (
            "import resource, sys; from pathlib import Path\n"
            "from benchmarks.results.stored import journal\n"
            "with journal.Journal(Path(sys.argv[1])) as log:\n"
            "    log.append('launch', number=0)\n"
            "    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
            "    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))\n"
            "    try: log.append('launch', number=1, text='x' * 1000)\n"
            "    except journal.JournalError as error: print(error)\n"
            "    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))\n"
            "    log.append('launch', number=2)\n"
        )
        path = tmp_path / "journal.ndjson"
        with start(code, path) as process:
            assert re.search(r"only \d+ of \d+ bytes fitted", line(process))
        assert process.returncode == 0
        assert numbers(path) == ([0, 2], 1)

    def test_a_folder_that_is_none_is_one_clear_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "journal.ndjson"
        with pytest.raises(JournalError) as caught:
            Journal(path)
        assert str(caught.value) == f"cannot open {path}: Not a directory"

    def test_closing_twice_is_closing_once(self, tmp_path: Path) -> None:
        log = Journal(tmp_path / "journal.ndjson")
        log.close()
        log.close()
        with pytest.raises(JournalError, match="Bad file descriptor"):
            log.append("launch")

    def test_two_processes_append_at_once(self, tmp_path: Path) -> None:
        code = (
            "import sys; from pathlib import Path\n"
            "from benchmarks.results.stored.journal import Journal\n"
            "with Journal(Path(sys.argv[1])) as log:\n"
            "    print('ready', flush=True); sys.stdin.readline()\n"
            "    for number in range(60):\n"
            "        log.append(sys.argv[2], number=number, text=sys.argv[2] * 20_000)\n"
        )
        path = tmp_path / "journal.ndjson"
        with ExitStack() as stack:
            writers = [stack.enter_context(start(code, path, name)) for name in "ab"]
            assert [line(writer) for writer in writers] == ["ready", "ready"]
            for writer in writers:
                assert writer.stdin is not None
                writer.stdin.write("go\n")
                writer.stdin.flush()
        entries, damaged = read(path)
        assert damaged == 0
        for name in "ab":
            mine = [entry for entry in entries if entry["kind"] == name]
            assert [entry["number"] for entry in mine] == list(range(60))
            assert all(entry["text"] == name * 20_000 for entry in mine)

    def test_threads_append_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.ndjson"
        with Journal(path) as log:

            def write(number: int) -> None:
                for _ in range(20):
                    log.append("launch", number=number)

            threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        found, damaged = numbers(path)
        assert (sorted(found), damaged) == (sorted([0, 1, 2, 3] * 20), 0)

    def test_what_was_appended_survives_kill_9(self, tmp_path: Path) -> None:
        code = (
            "import itertools, sys; from pathlib import Path\n"
            "from benchmarks.results.stored.journal import Journal\n"
            "log = Journal(Path(sys.argv[1]))\n"
            "for number in itertools.count():\n"
            "    log.append('launch', number=number); print(number, flush=True)\n"
        )
        path = tmp_path / "journal.ndjson"
        with start(code, path) as process:
            while line(process) != "20":
                pass
            process.send_signal(signal.SIGKILL)
        found, _ = numbers(path)
        assert found == list(range(len(found)))
        assert len(found) >= 21
        with Journal.resume(path) as log:
            log.append("launch", number=len(found))
        assert numbers(path) == (list(range(len(found) + 1)), 0)


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], list[int], int]] = {
    "cut by 7 bytes": (lambda b: b[:-7], [0, 1, 2, 3], 1),
    "cut by the line end": (lambda b: b[:-1], [0, 1, 2, 3, 4], 0),
    "NULs at the end": (lambda b: b + b"\0" * 512, [0, 1, 2, 3, 4], 1),
    "NULs inside": (lambda b: b.replace(b'"number":2', b"\0" * 10), [0, 1, 3, 4], 1),
    "a flipped digit": (lambda b: b.replace(b'"number":2', b'"number":7'), [0, 1, 3, 4], 1),
    "a lost line end": (lambda b: b.replace(b"\n", b"", 1), [2, 3, 4], 1),
    "bytes that are no text": (lambda b: b"\xff\xfe\n" + b, [0, 1, 2, 3, 4], 1),
    "JSON of somebody else": (lambda b: b'{"kind":"launch","number":9}\n' + b, [0, 1, 2, 3, 4], 1),
    "10 000 levels": (
        lambda b: journal._seal(b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}") + b"\n" + b,
        [0, 1, 2, 3, 4],
        1,
    ),
    "sealed yet no JSON": (lambda b: journal._seal(b'{"a":nope}') + b"\n" + b, [0, 1, 2, 3, 4], 1),
    "blank lines": (lambda b: b.replace(b"\n", b"\n\n"), [0, 1, 2, 3, 4], 0),
}


class TestDamage:
    """Good lines before and after a bad one are used; the bad one is kept aside and counted."""

    @pytest.mark.parametrize("name", DAMAGES)
    def test_reading_counts_the_damage_and_writes_nothing(self, tmp_path: Path, name: str) -> None:
        damage, good, bad = DAMAGES[name]
        path = tmp_path / "journal.ndjson"
        content = damage(numbered(path, 5))
        path.write_bytes(content)
        assert numbers(path) == (good, bad)
        assert path.read_bytes() == content
        assert files(tmp_path) == ["journal.ndjson"]

    @pytest.mark.parametrize("name", DAMAGES)
    def test_resuming_sets_the_damage_aside_and_goes_on(self, tmp_path: Path, name: str) -> None:
        damage, good, bad = DAMAGES[name]
        path = tmp_path / "journal.ndjson"
        whole = numbered(path, 5)
        path.write_bytes(damage(whole))
        with Journal.resume(path) as log:
            log.append("launch", number=5)
        assert numbers(path) == ([*good, 5], 0)
        quarantine = tmp_path / "journal.ndjson.bad"
        assert quarantine.exists() is bool(bad)
        if bad:
            kept = quarantine.read_bytes()
            assert kept.endswith(b"\n")
            lines = damage(whole).split(b"\n")
            assert kept[:-1] in lines
            assert kept[:-1] not in path.read_bytes().split(b"\n")

    def test_the_quarantine_grows(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.ndjson"
        for text in (b"first", b"second"):
            with path.open("ab") as file:
                file.write(text + b"\n")
            Journal.resume(path).close()
        assert (tmp_path / "journal.ndjson.bad").read_bytes() == b"first\nsecond\n"
        assert path.read_bytes() == b""

    def test_a_failed_quarantine_cuts_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "journal.ndjson"
        content = numbered(path, 3)[:-7]
        path.write_bytes(content)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(JournalError, match=r"journal\.ndjson\.bad: No space left"):
                Journal.resume(path)
        assert path.read_bytes() == content

    def test_a_whole_journal_is_not_rewritten(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.ndjson"
        numbered(path, 2)
        before = path.stat()
        Journal.resume(path).close()
        after = path.stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    def test_resuming_nothing_starts(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.ndjson"
        with Journal.resume(path) as log:
            log.append("launch", number=0)
        assert numbers(path) == ([0], 0)

    def test_going_on_after_a_cut_damages_no_new_entry(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.ndjson"
        path.write_bytes(numbered(path, 3)[:-7])
        with Journal(path) as log:
            log.append("launch", number=3)
        assert numbers(path) == ([0, 1, 3], 1)

    def test_a_missing_journal_is_said(self, tmp_path: Path) -> None:
        path = tmp_path / "journal.ndjson"
        with pytest.raises(JournalError) as caught:
            read(path)
        assert str(caught.value) == f"cannot read {path}: No such file or directory"


class TestRunFolder:
    """A run has a folder that takes files before anything is measured."""

    def test_run_ids_sort_by_time_in_any_zone(self) -> None:
        first = datetime(2026, 11, 21, 8, 15, tzinfo=UTC)
        assert re.fullmatch("20261121T081500Z-[0-9a-f]{4}", new_run_id(first))
        later = datetime(2026, 11, 21, 7, 15, 1, tzinfo=timezone(timedelta(hours=-1)))
        assert new_run_id(later).startswith("20261121T081501Z-")
        assert new_run_id(first) < new_run_id(later)
        assert len({new_run_id(first) for _ in range(20)}) > 1

    def test_a_time_without_a_zone_is_refused(self) -> None:
        with pytest.raises(ValueError, match="zone"):
            new_run_id(datetime(2026, 11, 21))  # noqa: DTZ001  (the fault under test)

    def test_the_folder_is_made_and_empty(self, tmp_path: Path) -> None:
        folder = create_run(tmp_path / "deep" / "results", "20261121T081500Z-3f2a")
        assert folder == tmp_path / "deep" / "results" / "20261121T081500Z-3f2a"
        assert files(folder) == []

    def test_a_run_of_the_same_name_is_not_touched(self, tmp_path: Path) -> None:
        folder = create_run(tmp_path, "run")
        with pytest.raises(JournalError) as caught:
            create_run(tmp_path, "run")
        assert str(caught.value) == f"cannot make {folder}: it is there already"

    @pytest.mark.parametrize("below", ["results", "deep/results"])
    def test_a_file_in_place_of_the_folder_is_one_clear_line(
        self, tmp_path: Path, below: str
    ) -> None:
        (tmp_path / below.split("/", maxsplit=1)[0]).touch()
        with pytest.raises(JournalError) as caught:
            create_run(tmp_path / below, "run")
        assert str(caught.value) == f"cannot make {tmp_path / below / 'run'}: Not a directory"

    def test_a_folder_that_takes_no_files_is_noticed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(JournalError, match=r"cannot write .*run.*No space left on device"):
                create_run(tmp_path, "run")

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "../up", "a/b", "/abs", ".hidden", "latest", "a\n", "-x", "a b"]
    )
    def test_a_run_id_stays_inside(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(JournalError, match="run id"):
            create_run(tmp_path / "results", name)
        assert files(tmp_path) == []

    def test_latest_follows_the_newest_run_wherever_the_folder_goes(self, tmp_path: Path) -> None:
        out = tmp_path / "results"
        for name in ("one", "two"):
            (create_run(out, name) / "run.json").write_text(name)
            point_latest(out, name)
        moved = out.rename(tmp_path / "moved")
        assert (moved / "latest").readlink() == Path("two")
        assert (moved / "latest" / "run.json").read_text() == "two"
        assert files(moved) == ["latest", "one", "two"]

    def test_without_links_latest_is_a_file_with_the_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_links(*_: object, **__: object) -> None:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "symlink", no_links)
        for name in ("one", "two"):
            create_run(tmp_path, name)
            point_latest(tmp_path, name)
        assert (tmp_path / "latest").read_text() == "two\n"
        assert files(tmp_path) == ["latest", "one", "two"]

    def test_a_folder_named_latest_is_not_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "latest").mkdir()
        (tmp_path / "latest" / "mine").touch()
        with pytest.raises(JournalError, match=r"cannot point .*latest at run"):
            point_latest(tmp_path, "run")
        assert files(tmp_path) == ["latest"]
        assert files(tmp_path / "latest") == ["mine"]


HOLD = (
    "import sys, time; from pathlib import Path; from benchmarks.machine.locks import DeviceLock\n"
    "with DeviceLock(sys.argv[1], Path(sys.argv[2])):\n"
    "    print('held', flush=True); sys.stdin.read()\n"
)


class TestDeviceLock:
    """Two runs on one device cannot overlap unknowingly."""

    def test_the_second_process_is_told_who_holds_it(self, tmp_path: Path) -> None:
        with start(HOLD, "cpu", tmp_path) as owner:
            assert line(owner) == "held"
            with pytest.raises(Locked) as caught:
                DeviceLock("cpu", tmp_path).__enter__()
            assert caught.value.owner == owner.pid
            assert str(caught.value) == (
                f"cpu is being measured by process {owner.pid}: wait for it, or stop it"
            )
            with DeviceLock("GPU-1", tmp_path):
                pass
        with DeviceLock("cpu", tmp_path) as lock:
            assert int(lock.path.read_text()) == os.getpid()

    def test_a_killed_owner_holds_nothing(self, tmp_path: Path) -> None:
        with start(HOLD, "GPU-1", tmp_path) as owner:
            assert line(owner) == "held"
            owner.send_signal(signal.SIGKILL)
            assert owner.wait() == -signal.SIGKILL
            lock = DeviceLock("GPU-1", tmp_path)
            assert int(lock.path.read_text()) == owner.pid
            lock.path.write_text("1" * 20)  # longer than any pid
            with lock:
                assert int(lock.path.read_text()) == os.getpid()

    def test_one_process_does_not_lock_twice(self, tmp_path: Path) -> None:
        with DeviceLock("cpu", tmp_path) as held:
            with pytest.raises(Locked) as caught:
                DeviceLock("cpu", tmp_path).__enter__()
            assert caught.value.owner == os.getpid()
            held.path.write_text("")  # as between taking the lock and writing the pid
            with pytest.raises(Locked, match="by another process") as caught:
                DeviceLock("cpu", tmp_path).__enter__()
            assert caught.value.owner is None

    def test_the_lock_ends_with_the_block_even_in_error(self, tmp_path: Path) -> None:
        lock = DeviceLock("cpu", tmp_path)
        with pytest.raises(RuntimeError), lock:
            raise RuntimeError
        with lock, pytest.raises(Locked):
            DeviceLock("cpu", tmp_path).__enter__()

    def test_a_worker_does_not_inherit_it(self, tmp_path: Path) -> None:
        with DeviceLock("cpu", tmp_path):
            worker = start("import sys; print('up', flush=True); sys.stdin.read()")
        with worker:
            assert line(worker) == "up"
            with DeviceLock("cpu", tmp_path):
                pass

    def test_the_name_says_whose_and_of_what(self, tmp_path: Path) -> None:
        lock = DeviceLock("../GPU/1\n", tmp_path)
        assert lock.path == tmp_path / "twinbench-.._GPU_1_.lock"

    def test_a_lock_that_cannot_be_opened_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        lock = DeviceLock("cpu", tmp_path / "file")
        with pytest.raises(JournalError) as caught:
            lock.__enter__()
        assert not isinstance(caught.value, Locked)
        assert str(caught.value) == f"cannot open the lock {lock.path}: Not a directory"

    def test_a_planted_link_is_not_followed(self, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        victim.write_text("precious")
        lock = DeviceLock("cpu", tmp_path)
        lock.path.symlink_to(victim)
        with pytest.raises(JournalError, match="cannot open the lock"):
            lock.__enter__()
        assert victim.read_text() == "precious"

    def test_a_file_system_without_locks_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fcntl.flock", refuse)
        with pytest.raises(JournalError, match="cannot take the lock") as caught:
            DeviceLock("cpu", tmp_path).__enter__()
        assert not isinstance(caught.value, Locked)
