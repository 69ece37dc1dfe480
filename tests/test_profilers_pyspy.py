"""py-spy from outside: absent, refused, late, gone or stuck, it gives a reason and no more."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from profilers.flames import pyspy
from profilers.flames.pyspy import Recorder, Watching

SPINNING = "def busy():\n    while True:\n        sum(range(1000))\nprint('up', flush=True)\nbusy()"


def _script(folder: Path, text: str) -> tuple[str, ...]:
    """A stand-in for py-spy: ``$9`` is the file it is told to write; no interrupt kills it."""
    path = folder / "py-spy"
    path.write_text(f"#!/bin/sh\ntrap '' INT\n{text}\n")
    path.chmod(0o755)
    return (str(path),)


@contextmanager
def _child(code: str = SPINNING) -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert child.stdout
        child.stdout.readline()
        yield child
    finally:
        child.kill()
        child.communicate()


def _recorded(command: tuple[str, ...], **changed: float) -> tuple[bool, pyspy.Recording]:
    with Recorder(1, Watching(command=command, **changed)) as recorder:  # type: ignore[arg-type]
        started = recorder.started
    return started, recorder.recording


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo 'Permission Denied: Try running again' >&2; exit 1", "may not look into the worker"),
        (
            "echo 'Error: Failed to get its name. Check that the process is running.'; exit 1",
            "the worker is gone",
        ),
        (
            "echo 'Error: Failed to find python version\n\nStack backtrace:\n 0: x'; exit 1",
            "^py-spy failed: Failed to find python version$",
        ),
        ("exit 3", r"^py-spy failed \(exit 3\)$"),
        ("trap - INT; exec >&- 2>&-; sleep 0.3; exit 3", r"^py-spy failed \(exit 3\)$"),
        ("echo Sampling; exit 0", "py-spy wrote no stacks"),
        ("echo Sampling; sleep 0.3; exit 0", "py-spy wrote no stacks"),
        ("echo 'no stack' > $9; echo Sampling; exit 0", "py-spy wrote no stacks"),
    ],
)
def test_a_failure_is_one_line_that_says_why(tmp_path: Path, text: str, reason: str) -> None:
    _, recording = _recorded(_script(tmp_path, text))
    assert recording.stacks is None
    assert recording.reason
    assert "\n" not in recording.reason
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(recording.reason)


def test_samples_without_frames_are_counted_and_cost_no_profile(tmp_path: Path) -> None:
    text = r"""printf 'main (a.py) 3\n 4\nmain (a.py) 2\n' > $9; echo Sampling; sleep 0.3; exit 0"""
    _, recording = _recorded(_script(tmp_path, text))
    assert recording == pyspy.Recording(stacks={("main (a.py)",): 5}, unreadable=4)


def test_an_absent_py_spy_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    with Recorder(1) as recorder:
        assert not recorder.started
    assert recorder.recording == pyspy.Recording(stacks=None, reason="py-spy is not installed")


def test_one_that_cannot_be_started_is_a_reason(tmp_path: Path) -> None:
    started, recording = _recorded((str(tmp_path / "py-spy"),))
    assert not started
    assert "cannot be started: No such file" in (recording.reason or "")


def test_it_is_interrupted_when_the_block_ends(tmp_path: Path) -> None:
    text = "trap 'echo \"a;b 3\" > $9; exit 0' INT; echo Sampling; while :; do sleep 0.05; done"
    started, recording = _recorded(_script(tmp_path, text))
    assert started
    assert recording.stacks == {("a", "b"): 3}


def test_one_that_ignores_the_interrupt_is_killed_and_the_worker_runs_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyspy, "WRITE_S", 0.3)
    text = f"""exec {sys.executable} -c '
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("Sampling", flush=True)
time.sleep(60)'"""
    with _child() as child:
        child.send_signal(19)  # as a profiler leaves it that dies in the middle of a sample
        with Recorder(child.pid, Watching(command=_script(tmp_path, text))) as recorder:
            pass
        assert recorder.recording.reason == "py-spy did not end within 0.3 s"
        state = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0]
        assert state != "T"


def test_the_cap_ends_a_recording_that_nobody_ends(tmp_path: Path) -> None:
    text = "trap 'echo \"a 1\" > $9; exit 0' INT; echo Sampling; while :; do sleep 0.05; done"
    with Recorder(1, Watching(command=_script(tmp_path, text), cap_s=0.2)) as recorder:
        assert recorder._process
        recorder._process.wait(20)
    assert recorder.recording.stacks == {("a",): 1}


def test_what_it_is_told(tmp_path: Path) -> None:
    plain = pyspy.arguments(7, tmp_path, Watching())
    assert "--nonblocking" in plain
    assert "--native" not in plain
    assert plain[plain.index("--rate") + 1] == "100"
    native = pyspy.arguments(7, tmp_path, Watching(native=True, rate=10))
    assert "--nonblocking" not in native  # py-spy refuses both together
    assert "--native" in native
    assert Watching(native=True, rate=10).mode.startswith(pyspy.NATIVE)


def test_a_process_that_ended_is_a_reason() -> None:
    if not pyspy.find():
        pytest.skip("py-spy is not installed")
    with _child() as child:
        pass
    with Recorder(child.pid) as recorder:
        assert not recorder.started
    assert "the worker is gone" in (recorder.recording.reason or "")


def test_a_running_process_is_seen_at_work() -> None:
    if not pyspy.find():
        pytest.skip("py-spy is not installed")
    with _child() as child:
        with Recorder(child.pid) as recorder:
            if recorder.started:
                with pytest.raises(subprocess.TimeoutExpired):
                    child.wait(0.5)
        assert child.poll() is None
    recording = recorder.recording
    if recording.stacks is None and "may not look" in (recording.reason or ""):
        pytest.skip(str(recording.reason))
    assert recording.stacks, recording.reason
    assert any("busy" in frame for stack in recording.stacks for frame in stack)


def test_any_process_of_the_user_may_be_let_in() -> None:
    pyspy.allow(os.getpid())  # without the kernel module that restricts it, nothing happens


def test_py_spy_is_that_of_this_environment_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere" / "py-spy"
    elsewhere.parent.mkdir()
    elsewhere.write_text("#!/bin/sh\n")
    elsewhere.chmod(0o755)
    monkeypatch.setenv("PATH", str(elsewhere.parent))
    ours = tmp_path / "ours"
    ours.mkdir()
    monkeypatch.setattr(sys, "executable", str(ours / "python"))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(ours))
    assert pyspy.find() is None
    (ours / "py-spy").write_text("#!/bin/sh\n")
    assert pyspy.find() == (str(ours / "py-spy"),)
