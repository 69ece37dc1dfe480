"""Places, stores, locks and devices that fail are one line, and nothing that was done is lost."""

# ruff: noqa: N802 - NVML's methods carry the names of the C functions they stand for

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pynvml
import pytest

from benchmarks.__main__ import main
from benchmarks.machine import locks, scratch
from benchmarks.proof.verification import verified
from benchmarks.request import plan
from benchmarks.request.selection import Selection, Variant
from benchmarks.results.records import Exit
from benchmarks.results.stored import journal
from benchmarks.results.stored.journal import Journal
from benchmarks.worker.process import WorkerProcess
from profilers.gpu.gpu_state import visible_uuid
from tests.fake_nvml import FakeNvml
from tests.pipeline import MODELS, OURS, SHORT, Pipeline
from tests.test_faults import ONCE

Capture = pytest.CaptureFixture[str]
QUICK = SHORT["quick"]
FORWARD = ("--phases", "forward")


def _each_launch_once(pipeline: Pipeline) -> None:
    done = pipeline.call("--resume", *OURS)
    assert done.code == 0
    launches = [e["launch"] for e in done.entries if e["kind"] == "launch"]
    assert Counter(launches) == dict.fromkeys(range(QUICK.launches), 1)


@pytest.mark.parametrize("made", [0, 2, 5])
def test_a_full_temporary_folder_is_one_line_and_the_run_can_go_on(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: Capture, made: int
) -> None:
    make, counted = tempfile.mkdtemp, iter(range(1000))

    def full(*arguments: Any, **named: Any) -> str:
        if next(counted) >= made:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return str(make(*arguments, **named))

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkdtemp", full)
        assert pipeline.run(*FORWARD).code == Exit.INCOMPLETE
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(
        "twinbench: cannot make a temporary folder: No space left on device:"
        " TMPDIR can name another place; go on with: python -m benchmarks run --resume "
    )
    assert pipeline.survivors() == []
    _each_launch_once(pipeline)


def test_a_results_folder_that_is_removed_is_written_again_and_ends_the_run(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    append = Journal.append

    def removed(log: Journal, kind: str, /, **data: Any) -> None:
        if kind == "launch" and pipeline.launches_done() == 0:
            shutil.rmtree(pipeline.out)
        append(log, kind, **data)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", removed)
        assert pipeline.run(*FORWARD).code == Exit.INCOMPLETE
    told = capsys.readouterr().err.splitlines()[-1]
    assert "journal.ndjson was removed meanwhile: all it held is there again; go on with:" in told
    assert pipeline.launches_done() == 1  # the one that was finished when it was noticed
    assert pipeline.survivors() == []
    _each_launch_once(pipeline)


def test_damaged_lines_of_a_journal_are_counted_where_it_is_taken_up(
    pipeline: Pipeline, capsys: Capture
) -> None:
    assert pipeline.run(*FORWARD).code == 0
    (log,) = pipeline.journals()
    lines = log.read_bytes().splitlines(keepends=True)
    last = [n for n, line in enumerate(lines) if line.startswith(b'{"kind":"launch"')][-1]
    lines[last] = lines[last].replace(b'"launch":1', b'"launch":7')
    log.write_bytes(b"".join([*lines, b"\0\0\0\n"]))
    capsys.readouterr()
    _each_launch_once(pipeline)
    told = capsys.readouterr().err.splitlines()
    assert "2 damaged lines of the journal moved to journal.ndjson.bad, not used" in told
    assert log.with_name("journal.ndjson.bad").read_bytes().count(b"\n") == 2


def _with_schema(log: Path, schema: object) -> None:
    """Have a journal say another schema; ``None``: none, as those of before."""
    entries, _ = journal.read(log)
    log.unlink()
    with Journal(log) as again:
        for entry in entries:
            kind = entry.pop("kind")
            del entry["at"]
            if kind == "run":
                del entry["schema"]
                entry.update({} if schema is None else {"schema": schema})
            again.append(kind, **entry)


def test_a_journal_of_before_is_taken_up_and_a_newer_one_refused(
    pipeline: Pipeline, capsys: Capture
) -> None:
    assert pipeline.run(*FORWARD).code == 0
    (log,) = pipeline.journals()
    assert next(e for e in journal.read(log)[0] if e["kind"] == "run")["schema"] == journal.SCHEMA
    for schema in (journal.SCHEMA + 1, "x"):
        _with_schema(log, schema)
        capsys.readouterr()
        assert pipeline.call("--resume", *OURS).code == Exit.USAGE
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith(
            f"journal.ndjson: schema {schema} is newer than this version reads"
            f" ({journal.SCHEMA}): update twinbench"
        )
    _with_schema(log, journal.SCHEMA)
    _with_schema(log, None)
    _each_launch_once(pipeline)


def test_the_device_is_held_while_turns_are_taken(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, refused = WorkerProcess.ask, list[str]()

    def tried(worker: WorkerProcess, verb: str, **told: Any) -> dict[str, Any]:
        if verb == "turn":
            with pytest.raises(locks.Locked) as caught, locks.DeviceLock("cpu"):
                pass
            refused.append(str(caught.value))
        return ask(worker, verb, **told)

    monkeypatch.setattr(WorkerProcess, "ask", tried)
    assert pipeline.run(*FORWARD, *ONCE).code == 0
    assert set(refused) == {
        f"cpu is being measured by process {os.getpid()}: wait for it, or stop it"
    }


def test_a_run_removes_what_a_killed_one_left(pipeline: Pipeline) -> None:
    left = pipeline.tmp_path / f"{scratch.PREFIX}proof-of-a-dead-one"
    left.mkdir()
    assert pipeline.run(*FORWARD, *ONCE).code == 0
    assert not left.exists()


class Lost(FakeNvml):
    """A device that answers nothing about its state any more."""

    def _nvmlDeviceGetClockInfo(self, *_: Any) -> int:
        return int(pynvml.NVML_ERROR_GPU_IS_LOST)

    def _nvmlDeviceGetCurrentClocksEventReasons(self, *_: Any) -> int:
        return int(pynvml.NVML_ERROR_GPU_IS_LOST)

    def _nvmlDeviceGetComputeRunningProcesses_v3(self, *_: Any) -> int:
        return int(pynvml.NVML_ERROR_GPU_IS_LOST)


def test_a_gpu_that_stops_answering_costs_its_own_figures_alone(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    Lost().install(monkeypatch)
    done = pipeline.run(*FORWARD, *ONCE, "--device", "cuda")
    assert done.code == 0
    for case in done.matchup("forward").cases:
        assert case.status == "ok"
        assert case.launches[0].interference is not None
        assert case.launches[0].interference.causes == {}


def test_a_gpu_that_is_lost_has_no_uuid_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    FakeNvml(errors={"nvmlDeviceGetUUID": pynvml.NVML_ERROR_GPU_IS_LOST}).install(monkeypatch)
    found = visible_uuid()
    assert found.value is None
    assert "lost" in (found.reason or "").lower()


def test_a_driver_that_does_not_fit_is_a_reason_here_and_in_the_doctor(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    FakeNvml(errors={"nvmlInitWithFlags": pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH}).install(
        monkeypatch
    )
    assert pipeline.run(*FORWARD, "--device", "cuda").code == Exit.NOTHING
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("twinbench: nothing can run here: no CUDA device: ")
    reason = line.partition("no CUDA device: ")[2]
    assert "mismatch" in reason.lower()
    assert main(["doctor", "--json"]) == 0
    assert reason in json.loads(capsys.readouterr().out)["machine"]["gpu_reason"]
    assert pipeline.run(*FORWARD, *ONCE).code == 0  # the CPU is there as before


def _engine(tmp_path: Path, name: str, fault: str) -> str:
    """An interpreter in which the null framework fails in the proof."""
    script = tmp_path / name
    control = json.dumps({"fault": fault, "at": "prove"})
    script.write_text(f"#!/bin/sh\nTWINBENCH_NULL='{control}' exec {sys.executable} \"$@\"\n")
    script.chmod(0o755)
    return f"{name}={script}"


def _engines(pipeline: Pipeline, stacks: str, *pythons: str) -> Any:
    words = [word for python in pythons for word in ("--python", python)]
    return pipeline.call(*OURS, "--models", "tiny", "--stacks", stacks, *words, *FORWARD)


@pytest.mark.parametrize(
    ("fault", "status", "why"),
    [
        ("segv", "crash", "the worker died of SIGSEGV during 'open'"),
        ("error", "error", "RuntimeError: the null framework was told to fail"),
    ],
)
def test_a_framework_that_cannot_run_the_proof_costs_its_own_cases_alone(
    pipeline: Pipeline, tmp_path: Path, fault: str, status: str, why: str
) -> None:
    other = _engine(tmp_path, "other", fault)
    done = _engines(pipeline, "null-a,null-b,null-a@other", other)
    assert done.code == Exit.INCOMPLETE
    lost = done.case("forward", "null-a@other")
    assert (lost.status, lost.reason) == (status, f"the proof could not run: {why}")
    for stack in ("null-a", "null-b"):
        case = done.case("forward", stack)
        assert (case.status, len(case.launches)) == ("ok", QUICK.launches)
    result = done.matchup("forward")
    assert result.parity is not None
    assert (result.parity.status, result.parity.adapters) == ("partial", ("null",))
    words = {(v.a, v.b): v.verdict for v in result.verdicts}
    assert words["null-a", "null-b"] != "not comparable"
    assert words["null-a", "null-a@other"] == "not comparable"
    # Proven once, whatever is left to measure.
    assert [e["kind"] for e in done.entries].count("proving") == 1
    assert pipeline.survivors() == []


def test_a_verification_loses_the_stacks_of_a_framework_that_cannot_run_the_proof_alone(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    label, _, python = _engine(tmp_path, "other", "error").partition("=")
    chosen = Selection(
        models=("tiny",),
        models_dir=MODELS,
        phases=("forward",),
        stacks=("null-a", f"null-a@{label}"),
        variants=(Variant(label=label, python=python),),
    )
    (done,) = verified(plan.make(chosen), 1)
    assert done.parity is not None
    assert (done.name, done.parity.status, done.parity.adapters) == ("tiny", "partial", ("null",))
    assert {check.stack for check in done.parity.timed} == {"null-a"}
    assert {stack: error.reason for stack, error in done.failures.items()} == {
        "null-a@other": "RuntimeError: the null framework was told to fail"
    }
    assert pipeline.survivors() == []


def test_engines_that_all_fail_in_the_proof_have_each_its_own_reason(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    pythons = (_engine(tmp_path, "x", "segv"), _engine(tmp_path, "y", "error"))
    done = _engines(pipeline, "null-a@x,null-a@y", *pythons)
    assert done.code == Exit.INCOMPLETE
    reasons = {c.stack: (c.status, c.reason) for c in done.matchup("forward").cases}
    assert reasons == {
        "null-a@x": (
            "crash",
            "the proof could not run: the worker died of SIGSEGV during 'open'",
        ),
        "null-a@y": (
            "error",
            "the proof could not run: RuntimeError: the null framework was told to fail",
        ),
    }
