"""Whatever happens to a worker or to the parent costs one case, and nothing that was finished."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.machine import environment, locks
from benchmarks.results.records import Case, Exit, Failure, Stack
from benchmarks.results.stored import journal
from benchmarks.worker import process
from benchmarks.worker.process import WorkerError, WorkerProcess
from profilers import host
from tests.pipeline import OURS, SHORT, TINY, Outcome, Pipeline, alive, until

QUICK, MANY, ONE = (SHORT[name] for name in ("quick", "standard", "release"))
TWO_PHASES = ("--phases", "forward,train_step")
ONCE = ("--effort", "release")
STACK = Stack("null", "a")


def _failure(case: Case) -> Failure:
    assert case.failure is not None
    return case.failure


def _all_else_is_ok(done: Outcome, failed: Case) -> None:
    for result in done.run.matchups:
        for case in result.cases:
            if case.id != failed.id:
                assert case.status == "ok", case
                assert len(case.samples_s) == ONE.rounds * ONE.launches


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "status", "name", "reason"),
    [
        ("segv", "crash", "SIGSEGV", "the worker died of SIGSEGV during 'check'"),
        ("abort", "crash", "SIGABRT", "the worker died of SIGABRT during 'check'"),
        ("kill", "crash", "SIGKILL", "the worker died of SIGKILL during 'check'"),
        ("leave", "error", None, "the worker left without an answer to 'check' (exit 0)"),
        ("error", "error", None, "RuntimeError: the null framework was told to fail"),
        (
            "memory",
            "oom_host",
            None,
            "MemoryError: the null framework was told to run out of memory",
        ),
        ("hang", "timeout", None, "'check' took longer than 2 s"),
        ("hang_native", "timeout", None, "'check' took longer than 2 s"),
    ],
)
def test_a_fault_costs_one_case(
    pipeline: Pipeline, fault: str, status: str, name: str | None, reason: str
) -> None:
    done = pipeline.run(*TWO_PHASES, *ONCE, "--timeout", "2", fault=fault)
    failed = done.case("forward", "null-b")
    assert (failed.status, failed.reason) == (status, reason)
    assert (_failure(failed).signal, _failure(failed).launch) == (name, 0)
    assert failed.samples_s == ()
    _all_else_is_ok(done, failed)
    (verdict,) = done.matchup("forward").verdicts
    assert (verdict.verdict, verdict.ratio) == ("not comparable", None)
    assert reason in (verdict.reason or "")
    assert done.code == done.run.exit == 3
    assert pipeline.survivors() == []
    if fault in {"segv", "abort", "error", "memory", "hang", "hang_native"}:
        assert "in infer" in _failure(failed).stack  # it names the line that was running


def test_wrong_numbers_are_never_timed(pipeline: Pipeline) -> None:
    done = pipeline.run(*TWO_PHASES, *ONCE, fault="wrong")
    assert done.code == done.run.exit == 4
    for phase in ("forward", "train_step"):
        wrong, right = done.case(phase, "null-b"), done.case(phase, "null-a")
        assert (wrong.status, wrong.samples_s) == ("parity_failed", ())
        assert "output differs from the float64 reference by 3.3e-01" in (wrong.reason or "")
        assert right.status == "ok"
        (verdict,) = done.matchup(phase).verdicts
        assert (verdict.verdict, verdict.ratio) == ("not comparable", None)
    journaled = [e for e in done.entries if e["kind"] == "launch"]
    assert {stack for entry in journaled for stack in entry["cases"]} == {"null-a"}


def test_noise_on_stdout_disturbs_nothing(pipeline: Pipeline) -> None:
    done = pipeline.run("--phases", "forward", *ONCE, fault="noise", at="build")
    assert done.code == 0
    assert [case.status for case in done.matchup("forward").cases] == ["ok", "ok"]


def test_a_worker_that_cannot_start_costs_all_its_cases(pipeline: Pipeline) -> None:
    done = pipeline.run(*TWO_PHASES, fault="abort", at="build")
    assert done.code == 3
    for phase in ("forward", "train_step"):
        failed, other = done.case(phase, "null-b"), done.case(phase, "null-a")
        assert (failed.status, _failure(failed).signal) == ("crash", "SIGABRT")
        assert failed.reason == "the worker died of SIGABRT during 'start'"
        assert (other.status, len(other.launches)) == ("ok", QUICK.launches)


def test_a_phase_that_fails_in_its_warm_up_spares_the_others(pipeline: Pipeline) -> None:
    done = pipeline.run("--phases", "forward,backward", *ONCE, fault="error", at="loss")
    failed = done.case("backward", "null-b")
    assert (failed.status, _failure(failed).exit_code) == ("error", None)
    _all_else_is_ok(done, failed)


def test_a_crash_in_a_later_launch_keeps_the_finished_ones(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: Counter[str] = Counter()
    ask = WorkerProcess.ask

    def struck(worker: WorkerProcess, verb: str, **arguments: Any) -> dict[str, Any]:
        if verb == "turn":
            turns[str(worker.stack)] += 1
            if str(worker.stack) == "null-b" and turns["null-b"] == QUICK.rounds + 2:
                os.kill(worker.pid, signal.SIGBUS)
        return ask(worker, verb, **arguments)

    monkeypatch.setattr(WorkerProcess, "ask", struck)
    done = pipeline.run("--phases", "forward")
    failed, other = done.case("forward", "null-b"), done.case("forward", "null-a")
    assert (failed.status, _failure(failed).signal) == ("crash", "SIGBUS")
    assert _failure(failed).launch == 1
    assert [launch.index for launch in failed.launches] == [0]
    assert [launch.index for launch in other.launches] == [0, 1]
    assert turns == {"null-a": 2 * QUICK.rounds, "null-b": QUICK.rounds + 2}


def test_a_model_that_breaks_while_it_is_built_is_told_from_a_bad_proof(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    # The proof imports the twin first; every later import prints garbage and aborts.
    models = _user_model(
        tmp_path,
        "import os, pathlib, sys\n"
        "marker = pathlib.Path(__file__).with_name('proven')\n"
        "if marker.exists():\n"
        "    sys.stdout.buffer.write(b'\\x1b[31m\\xff\\x00' * 50_000)\n"
        "    sys.stdout.flush()\n"
        "    os.abort()\n"
        "marker.touch()\n",
    )
    done = pipeline.call(*models, "--phases", "forward", *ONCE, "--stacks", "null-a")
    assert done.code == 3
    case = done.case("forward", "null-a")
    assert (case.status, _failure(case).signal) == ("crash", "SIGABRT")
    assert len(_failure(case).stderr) <= process.TAIL_CHARACTERS
    assert "Fatal Python error: Aborted" in _failure(case).stderr


def _user_model(tmp_path: Path, twin: str) -> tuple[str, ...]:
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from tests.models.tiny import TASK\n")
    built = "from tests.models.tiny.null import build as build\n"
    (folder / "null.py").write_text(twin + built)
    return ("--models-dir", str(folder.parent), "--models", "mine")


def test_no_process_that_a_worker_started_is_left(pipeline: Pipeline, tmp_path: Path) -> None:
    models = _user_model(
        tmp_path,
        "import pathlib, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "with pathlib.Path(__file__).with_name('children').open('a') as file:\n"
        "    file.write(f'{child.pid}\\n')\n",
    )
    done = pipeline.call(*models, "--phases", "forward", *ONCE, "--stacks", "null-a")
    assert done.code == 0
    children = (tmp_path / "models" / "mine" / "children").read_text().split()
    assert len(children) == 1 + ONE.launches
    assert pipeline.survivors() == []
    left = [int(pid) for pid in children if psutil.pid_exists(int(pid))]
    assert not any(alive(psutil.Process(pid)) for pid in left)


def test_a_worker_that_cannot_even_time_itself_out_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.1)
    worker = WorkerProcess(STACK)
    try:
        os.kill(worker.pid, signal.SIGSTOP)  # its own watchdog is stopped with it
        began = time.monotonic()
        with pytest.raises(WorkerError, match=r"no answer to 'turn' within 0\.2 s") as caught:
            worker.ask("turn", deadline_s=0.2)
        assert time.monotonic() - began < 10
        assert caught.value.status == "timeout"
        assert not psutil.pid_exists(worker.pid)
    finally:
        worker.kill()


def test_a_worker_that_is_gone_is_told_by_what_ended_it() -> None:
    worker = WorkerProcess(STACK)
    os.kill(worker.pid, signal.SIGILL)
    with pytest.raises(WorkerError, match="died of SIGILL during 'turn'") as caught:
        worker.ask("turn", deadline_s=60)
    assert (caught.value.status, caught.value.failure.signal) == ("crash", "SIGILL")
    assert caught.value.failure.exit_code == -signal.SIGILL
    worker.kill()  # once more does no harm


def test_the_kernels_out_of_memory_killer_is_told_from_any_other_kill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kills = iter([3, 4])
    monkeypatch.setattr(host, "oom_kills", lambda: host.Reading(next(kills)))
    worker = WorkerProcess(STACK)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="the machine ran out of memory") as caught:
        worker.ask("turn", deadline_s=60)
    assert (caught.value.status, caught.value.failure.signal) == ("oom_host", "SIGKILL")


def test_a_worker_whose_parent_is_gone_ends_by_itself() -> None:
    program = (
        "import sys, time\n"
        "from benchmarks.worker.process import WorkerProcess\n"
        "from benchmarks.results.records import Stack\n"
        "print(WorkerProcess(Stack('null', 'a')).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=environment.ROOT, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    with parent.stdout:
        worker = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    until(lambda: not alive(worker))


def _resume_words(pipeline: Pipeline) -> list[str]:
    text = pipeline.stderr.read_text()
    (line,) = (row for row in text.splitlines() if "go on with: " in row)
    words = shlex.split(line.partition("go on with: ")[2])
    assert words[:4] == ["python", "-m", "benchmarks", "run"]
    return words[4:]


def _complete_without_duplicates(done: Outcome) -> None:
    assert done.code == done.run.exit == 0
    noisy = {  # beside a busy neighbour turns may not be told from noise; they are in the journal
        (e["matchup"], e["stack"], e["launch"]) for e in done.entries if e["kind"] == "unresolved"
    }
    for result in done.run.matchups:
        for case in result.cases:
            assert case.status == "ok"
            expected = [
                index
                for index in range(MANY.launches)
                if (result.matchup.id, case.stack, index) not in noisy
            ]
            assert [launch.index for launch in case.launches] == expected
    counted = Counter(
        (entry["matchup"], entry["launch"]) for entry in done.entries if entry["kind"] == "launch"
    )
    assert set(counted.values()) == {1}
    assert len(counted) == len(done.run.matchups) * MANY.launches


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_done_and_says_how_to_go_on(
    pipeline: Pipeline, number: signal.Signals
) -> None:
    seen = number == signal.SIGINT  # once is enough for the report
    parent = pipeline.start("--phases", "forward", "--effort", "standard", report=seen)
    until(lambda: pipeline.launches_done() >= 2)
    workers = psutil.Process(parent.pid).children(recursive=True)
    os.killpg(parent.pid, number)
    assert parent.wait(60) == 130
    until(lambda: not any(map(alive, workers)))

    stopped = Outcome(130, pipeline.out)
    assert stopped.run.exit == 130
    spent = stopped.run.seconds
    kept = {case.stack: case.launches for case in stopped.matchup("forward").cases}
    # Beside a busy neighbour a launch may be finished and its turns not be told from noise.
    assert any(kept.values())
    for case in stopped.matchup("forward").cases:
        count = len(kept[case.stack])
        assert count < MANY.launches
        assert case.status == "interrupted"
        assert case.reason == f"{count} of {MANY.launches} launches were finished"
    if seen:
        assert (stopped.folder / "report.html").stat().st_size > 0

    done = pipeline.call(*_resume_words(pipeline))
    _complete_without_duplicates(done)
    assert done.folder == stopped.folder
    for case in done.matchup("forward").cases:
        assert case.launches[: len(kept[case.stack])] == kept[case.stack]
    assert done.run.seconds > spent


@pytest.mark.slow
def test_a_killed_parent_leaves_no_worker_and_a_journal_to_go_on_from(pipeline: Pipeline) -> None:
    parent = pipeline.start("--phases", "forward", "--effort", "standard")
    until(lambda: pipeline.launches_done() >= 2)
    workers = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    assert parent.wait() == -signal.SIGKILL
    until(lambda: not any(map(alive, workers)))

    (log,) = pipeline.journals()
    assert not (log.parent / "run.json").exists()
    log.write_bytes(log.read_bytes()[:-7])  # as if it had been killed in the middle of a line

    done = pipeline.call("--resume", *OURS)
    _complete_without_duplicates(done)
    assert done.folder == log.parent
    assert log.with_name(f"{log.name}.bad").stat().st_size > 0


def test_a_resumed_run_checks_each_part_before_it_is_timed_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pipeline.run(*TWO_PHASES).code == 0
    (log,) = pipeline.journals()

    def finished(line: bytes) -> bool:
        entry = json.loads(line)
        first = entry["kind"] == "launch" and entry["launch"] == 0
        return entry["kind"] in {"run", "proof"} or (first and "train_step" in entry["matchup"])

    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(line for line in lines if finished(line)))
    asked: list[tuple[str, str]] = []
    ask = WorkerProcess.ask

    def watched(worker: WorkerProcess, verb: str, **arguments: Any) -> dict[str, Any]:
        if verb in {"check", "prepare"}:
            asked.append((str(worker.stack), arguments.get("part") or arguments["phase"]))
        return ask(worker, verb, **arguments)

    monkeypatch.setattr(WorkerProcess, "ask", watched)
    done = pipeline.call("--resume", *OURS)
    assert done.code == 0
    for stack in ("null-a", "null-b"):
        for part, phase in (("inference", "forward"), ("training", "train_step")):
            assert asked.count((stack, part)) == 1
            assert asked.index((stack, part)) < asked.index((stack, phase))
    (result,) = (r for r in done.run.matchups if r.matchup.phase == "train_step")
    assert result.parity is not None
    assert len(result.parity.timed) == 2 * 3  # output, loss and update of each stack


def _busy_proof(pipeline: Pipeline, tmp_path: Path) -> "subprocess.Popen[bytes]":
    """A run whose only worker does not come back from importing its twin."""
    models = _user_model(
        tmp_path,
        "import pathlib, time\npathlib.Path(__file__).with_name('here').touch()\ntime.sleep(600)\n",
    )
    parent = pipeline.start(*models)
    until((tmp_path / "models" / "mine" / "here").exists)
    return parent


def test_an_interrupt_does_not_wait_for_the_proof(pipeline: Pipeline, tmp_path: Path) -> None:
    parent = _busy_proof(pipeline, tmp_path)
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.wait(30) == 130


def test_even_a_busy_worker_ends_with_its_parent(pipeline: Pipeline, tmp_path: Path) -> None:
    parent = _busy_proof(pipeline, tmp_path)
    children = psutil.Process(parent.pid).children(recursive=True)
    assert len(children) == 1
    parent.kill()
    parent.wait()
    until(lambda: not any(map(alive, children)))


def test_a_second_run_on_a_device_is_turned_away(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    with locks.DeviceLock("cpu"):
        code = pipeline.run("--phases", "forward").code
    assert code == 75
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"twinbench: cpu is being measured by process {os.getpid()}: wait for it, or stop it"
    )
    assert pipeline.groups == []
    assert list(pipeline.out.iterdir()) == []  # and nothing is left that looks like a run


def test_a_lock_that_cannot_be_opened_leaves_nothing_to_go_on_with(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (pipeline.tmp_path / "file").touch()
    monkeypatch.setenv(locks.VARIABLE, str(pipeline.tmp_path / "file"))
    assert pipeline.run("--phases", "forward").code == Exit.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("twinbench: cannot open the lock ")
    assert "--resume" not in line
    assert list(pipeline.out.iterdir()) == []


def test_the_lock_is_free_again_after_a_run(pipeline: Pipeline) -> None:
    pipeline.call(*TINY, "--phases", "forward", *ONCE, "--stacks", "null-a")
    with locks.DeviceLock("cpu"):
        pass


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_place_that_takes_no_files_is_found_before_anything_is_measured(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], below: str
) -> None:
    pipeline.out = pipeline.tmp_path / "occupied" / below
    (pipeline.tmp_path / "occupied").write_text("a file, not a folder")
    assert pipeline.run("--phases", "forward").code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("twinbench: cannot make ")
    assert "Not a directory" in line
    assert pipeline.groups == []


def test_a_full_disk_is_said_in_one_line_and_the_rest_is_kept(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    append = journal.Journal.append

    def full(log: journal.Journal, kind: str, /, **data: Any) -> None:
        if kind == "launch" and pipeline.launches_done() == 1:
            raise journal.JournalError("cannot write journal.ndjson: No space left on device")
        append(log, kind, **data)

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "append", full)
        assert pipeline.run("--phases", "forward").code == Exit.INCOMPLETE
    assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]
    assert pipeline.survivors() == []
    done = pipeline.call("--resume", *OURS)
    assert done.code == 0
    assert len(done.case("forward", "null-a").launches) == QUICK.launches


def test_what_noise_hides_costs_the_launch_and_stays_on_record(pipeline: Pipeline) -> None:
    done = pipeline.run("--phases", "backward,forward", loss=20)  # more than with gradients
    assert done.code == Exit.INCOMPLETE
    hidden = done.case("backward", "null-b")
    assert (hidden.status, hidden.samples_s) == ("error", ())
    assert hidden.reason == "no launch could tell it from noise"
    kept = [e for e in done.entries if e["kind"] == "unresolved"]
    assert [(e["stack"], e["launch"]) for e in kept] == [("null-b", 0), ("null-b", 1)]
    assert all(t["run_s"] < t["baseline_s"] for e in kept for t in e["turns"])
    assert len(kept[0]["turns"]) == QUICK.rounds
    for phase, stack in (("backward", "null-a"), ("forward", "null-a"), ("forward", "null-b")):
        assert done.case(phase, stack).status == "ok"


def test_a_proof_that_cannot_run_is_no_refutation(pipeline: Pipeline) -> None:
    done = pipeline.run("--phases", "forward", fault="segv", at="prove")
    assert done.code == Exit.INCOMPLETE
    for stack in ("null-a", "null-b"):
        case = done.case("forward", stack)
        assert (case.status, case.launches) == ("crash", ())
        assert case.reason == ("the proof could not run: the worker died of SIGSEGV during 'open'")


def test_a_check_cut_short_is_made_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = journal.Journal.append

    def cut(log: journal.Journal, kind: str, /, **data: Any) -> None:
        append(log, kind, **data)
        if kind == "check":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "append", cut)
        assert pipeline.run("--phases", "train_step", *ONCE).code == 130
    done = pipeline.call("--resume", *OURS)
    assert done.code == 0
    parity = done.matchup("train_step").parity
    assert parity is not None
    assert Counter((check.stack, check.quantity) for check in parity.timed) == {
        (stack, quantity): 1 for stack in ("null-a", "null-b") for quantity in ("loss", "update")
    }


def test_a_report_that_cannot_be_built_does_not_cost_the_run(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.wanting(report=lambda _folder: None)
    done = pipeline.call(*TINY, "--phases", "forward", *ONCE, "--stacks", "null-a")
    assert done.code == 0
    assert "report: could not be built" in capsys.readouterr().err
