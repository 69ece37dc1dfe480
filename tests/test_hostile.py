"""What a model's own code may do to its worker costs its cases, and the parent nothing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.machine.environment import framework_status
from benchmarks.proof import sides
from benchmarks.proof.sides import Sides
from benchmarks.request.reading import signal_name
from benchmarks.results.records import Stack
from benchmarks.worker import process
from benchmarks.worker.process import WorkerError, WorkerProcess
from tests.hostile import __main__ as hostile
from tests.hostile.modules import KINDS, generated
from tests.pipeline import Outcome, Pipeline

ONCE = ("--phases", "forward", "--effort", "release", "--stacks", "null-a")
STACK = Stack("null", "a")
PIPES = """
import os, stat
for fd in range(3, 64):
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.write(fd, {data})
    except OSError:
        pass
"""


def _run(pipeline: Pipeline, tmp_path: Path, deed: str, *more: str) -> Outcome:
    """A run of a model that does something whenever it is imported, but for the first time."""
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from tests.models.tiny import TASK\n")
    marker = "import pathlib\nmarker = pathlib.Path(__file__).with_name('proven')\n"
    lines = "".join(f"    {line}\n" for line in deed.strip().splitlines())
    twin = f"{marker}if marker.exists():\n{lines}marker.touch()\n"
    (folder / "null.py").write_text(f"{twin}from tests.models.tiny.null import build as build\n")
    models = ("--models-dir", str(folder.parent), "--models", "mine")
    return pipeline.call(*models, *ONCE, *more)


@pytest.mark.parametrize(
    "data", [r"b'garbage\n'", r"b'{}\n'", r"b'{\"ok\": false}\n'", r"b'{\"ok\": true}\n'"]
)
def test_what_is_written_in_the_place_of_an_answer_costs_the_case(
    pipeline: Pipeline, tmp_path: Path, data: str
) -> None:
    done = _run(pipeline, tmp_path, PIPES.format(data=data))
    case = done.case("forward", "null-a")
    assert (done.code, case.status) == (3, "error")
    assert (case.reason or "").startswith("what came as the answer to 'start' is none: ")
    assert pipeline.survivors() == []


def test_an_answer_without_an_end_is_cut(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "ANSWER_BYTES", 10_000)
    done = _run(pipeline, tmp_path, PIPES.format(data="b'x' * 50_000"))
    assert done.case("forward", "null-a").status == "error"
    assert pipeline.survivors() == []


def test_a_worker_that_closes_its_answers_and_stays_is_ended(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.2)
    deed = "import faulthandler, os, time\nfaulthandler.cancel_dump_traceback_later()\n"
    done = _run(pipeline, tmp_path, f"{deed}os.closerange(3, 256)\ntime.sleep(600)\n")
    case = done.case("forward", "null-a")
    assert case.reason == "the worker closed the pipe for its answer to 'start', and went on"
    assert case.status == "error"
    assert pipeline.survivors() == []


def test_a_fork_of_a_worker_answers_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    done = _run(pipeline, tmp_path, "import os\nos.fork()")
    assert (done.code, done.case("forward", "null-a").status) == (0, "ok")
    assert pipeline.survivors() == []


def test_a_worker_that_does_not_read_does_not_hold_up_its_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.1)
    worker = WorkerProcess(STACK)
    try:
        os.kill(worker.pid, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(WorkerError, match="no answer to 'turn' within") as caught:
            worker.ask("turn", deadline_s=0.2, words="x" * (1 << 20))  # more than a pipe holds
        assert time.monotonic() - began < 30
        assert caught.value.status == "timeout"
    finally:
        worker.kill()


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    assert (signal_name(11), signal_name(40)) == ("SIGSEGV", "signal 40")
    worker = WorkerProcess(STACK)
    os.kill(worker.pid, 40)
    with pytest.raises(WorkerError, match="died of signal 40 during 'turn'") as caught:
        worker.ask("turn", deadline_s=60)
    assert (caught.value.status, caught.value.failure.signal) == ("crash", "signal 40")


@pytest.mark.parametrize("written", [None, b"PK", b""])
def test_what_a_side_did_not_write_is_told_as_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: bytes | None
) -> None:
    made = object.__new__(Sides)
    made.folder = tmp_path
    if written is not None:
        (tmp_path / "trace-torch.npz").write_bytes(written)

    monkeypatch.setattr(made, "ask", lambda _verb, each: {side: {"findings": []} for side in each})
    with pytest.raises(WorkerError, match="what the torch side told cannot be read: ") as caught:
        made.arrays("trace", {"torch": ((), {})})
    assert caught.value.status == "error"


@pytest.mark.parametrize("told", [{}, {"description": 3}, {"description": {"nodes": [{}]}}])
def test_what_is_no_description_is_told_as_the_error_of_a_side(told: dict[str, Any]) -> None:
    with pytest.raises(WorkerError, match="what the keras side told cannot be read: "):
        sides.described("keras", told)


def test_every_deed_is_generated_once_before_any_comes_again() -> None:
    deeds = [deed for kind in KINDS.values() for deed in kind.deeds]
    made = list(generated(1, len(deeds)))
    assert sorted(one.deed for one in made) == sorted(deeds)
    for module in made:
        compile(module.text, module.name, "exec")
        assert module.place in module.kind.places
        assert module.deed.splitlines()[0] in module.text


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["raises", "answers itself"])
def test_a_hostile_module_ends_with_a_reason(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    missing = framework_status(("torch", "keras"))
    if missing:
        pytest.skip(missing)
    assert hostile.main(["--modules", "1", "--only", kind, "--seed", "3"]) == 0
    assert " 0 breaches" in capsys.readouterr().out
