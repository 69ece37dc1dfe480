"""One run at a time on a machine: whoever starts it, wherever its temporary files go."""

from __future__ import annotations

import ctypes
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.machine import locks, scratch
from benchmarks.machine.environment import ROOT
from benchmarks.machine.locks import DeviceLock, Locked, held_by
from benchmarks.results.records import Stack
from benchmarks.worker import process
from benchmarks.worker.process import WorkerProcess
from profilers.flames import pyspy
from profilers.gpu import gpu_state
from profilers.host import Reading

A, B = "GPU-aaaa", "GPU-bbbb"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "locks").mkdir()
    monkeypatch.setenv(locks.VARIABLE, str(tmp_path / "locks"))
    return tmp_path / "locks"


def gpu(monkeypatch: pytest.MonkeyPatch, uuid: str | None) -> None:
    monkeypatch.setattr(gpu_state, "visible_uuid", lambda: Reading(uuid, "no NVML"))


def test_a_run_on_a_gpu_excludes_one_on_the_cpu_and_on_the_same_gpu(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu(monkeypatch, A)
    with held_by("cuda"):
        assert {one.name for one in place.iterdir()} == {
            "twinbench-cpu.lock",
            f"twinbench-{A}.lock",
        }
        for device in ("cpu", "cuda"):
            with pytest.raises(Locked, match=f"process {os.getpid()}"), held_by(device):
                pass
        gpu(monkeypatch, B)
        with held_by("cuda"):  # another GPU
            pass
    with held_by("cpu"), pytest.raises(Locked), held_by("cuda"):
        pass
    with held_by("cuda"):
        pass


def test_a_gpu_without_a_name_is_locked_as_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu(monkeypatch, None)
    with held_by("cuda"):
        assert (place / "twinbench-cuda.lock").is_file()


def test_where_the_temporary_files_go_is_no_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held_by("cpu"):
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with pytest.raises(Locked), held_by("cpu"):
            pass


def test_the_place_is_one_for_all_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(locks.VARIABLE)
    path = DeviceLock("cpu").path
    assert path == Path("/var/tmp/twinbench-cpu.lock")  # noqa: S108 - no file is made
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert DeviceLock("cpu").path == path


def test_a_lock_may_be_asked_for_by_others_and_of_others_is_not_written_to(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o077)
    try:
        with held_by("cpu"):
            pass
    finally:
        os.umask(before)
    path = place / "twinbench-cpu.lock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.write_text("99999999")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with held_by("cpu"):
        assert path.read_text() == "99999999"
        with pytest.raises(Locked, match="by another process"), held_by("cpu"):
            pass


def test_folders_of_dead_runs_are_swept_and_those_of_living_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    program = (
        "import sys, time, tempfile\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "from benchmarks.machine import scratch\n"
        "with scratch.folder('proof') as folder:\n"
        "    (folder / 'large').write_text('x')\n"
        "    print(folder, flush=True)\n"
        "    time.sleep(600)\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        dead, alive = (Path((one.stdout or sys.stdin).readline().strip()) for one in running)
        assert stat.S_IMODE(dead.stat().st_mode) == 0o700
        running[0].kill()
        running[0].wait()
        (tmp_path / "twinbench-run-nothing-of-ours").symlink_to(ROOT)
        (tmp_path / "other").mkdir()
        assert dead.is_dir()
        scratch.sweep()
        assert not dead.exists()
        assert (alive / "large").is_file()
        assert (tmp_path / "other").is_dir()
        assert ROOT.is_dir()
    finally:
        for one in running:
            one.kill()
            one.wait()
            assert one.stdout is not None
            one.stdout.close()


def test_a_worker_leaves_no_folder_and_takes_no_shared_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    worker = WorkerProcess(Stack("torch", "compile"))
    try:
        told = Path(f"/proc/{worker.pid}/environ").read_bytes().decode().split("\0")
        variables = dict(one.split("=", 1) for one in told if one)
        for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
            folder = Path(variables[name]).parent
            assert folder.parent == tmp_path
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        worker.kill()
    assert list(tmp_path.iterdir()) == []


def test_the_log_of_a_worker_is_capped_and_its_end_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LOG_BYTES", 1 << 15)
    program = tmp_path / "talker.py"
    program.write_text(
        "import sys\n"
        "for i in range(200):\n"
        "    sys.stdout.write('x' * (1 << 17) + '\\n')\n"
        "sys.stdout.write('the last words\\n')\n"
        "sys.stdout.flush()\n"
        "sys.stdin = None\n"
        "import time; time.sleep(600)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(process, "ROOT", tmp_path)
    worker = WorkerProcess(Stack.parse("null-a"), program="talker")
    try:
        until = time.monotonic() + 30
        while "the last words" not in worker._tail() and time.monotonic() < until:
            time.sleep(0.05)
        assert worker._tail().endswith("the last words\n")
        assert len(worker._log.last()) <= process.LOG_BYTES
    finally:
        worker.kill()
    assert worker._tail().endswith("the last words\n")


def test_py_spy_alone_is_let_in_and_shut_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []

    class Library:
        @staticmethod
        def prctl(*arguments: object) -> int:
            asked.append(tuple(int(getattr(a, "value", a)) for a in arguments))  # type: ignore[call-overload]
            return 0

    monkeypatch.setattr(ctypes, "CDLL", lambda _name: Library)
    pyspy.allow(4242)
    pyspy.allow(0)
    assert asked == [(pyspy.PR_SET_PTRACER, 4242, 0, 0, 0), (pyspy.PR_SET_PTRACER, 0, 0, 0, 0)]
