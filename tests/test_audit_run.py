"""An audit goes through two models at a time, loses nothing that is found, and leaves nothing."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from benchmarks.audit import checks, command, run
from benchmarks.audit.checks.again import THREADS
from benchmarks.audit.rows import Row
from benchmarks.request import plan
from benchmarks.request.plan import Group, Plan
from benchmarks.request.selection import Selection
from benchmarks.results.records import Stack
from benchmarks.results.stored.journal import JournalError
from benchmarks.worker import process
from tests.pipeline import ROOT, Pipeline

NAMES, STACKS = ("a", "b", "c"), ("null-a", "null-b")
HANGS = """
import sys, time
if "proof" in sys.argv[0]:
    time.sleep(600)
from tests.models.tiny.null import build as build
"""
EVERY = {(name, stack) for name in NAMES for stack in STACKS}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Three models of the null framework, of which two checks are made."""
    monkeypatch.setattr(checks, "names", lambda: ("across", "again"))
    folder = tmp_path / "mine"
    for name in NAMES:
        shutil.copytree(ROOT / "tests" / "models" / "tiny", folder / name)
    return plan.make(Selection(models_dir=folder, models=NAMES, phases=("forward",), stacks=STACKS))


def _terms(made: Plan, start: Any) -> run.Terms:
    return run.Terms(selection=made.selection, threads=1, start=start)


def test_every_stack_of_every_model_is_checked_and_no_process_stays(
    made: Plan, pipeline: Pipeline
) -> None:
    terms = _terms(made, pipeline.means.start)
    found = {(model, stack): rows for model, stack, rows in run.audited(made, set(), terms)}
    assert found.keys() == EVERY
    for rows in found.values():
        words = {row.check: row.word for row in rows}
        assert words.keys() == {"across in float64", "across as timed", "again", THREADS}
        assert "failed" not in words.values(), rows
    # Two proofs at a time, which go on with the next model; each stack has two workers of its own.
    assert len(pipeline.groups) <= 2 + 2 * len(EVERY)
    assert pipeline.survivors() == []


def test_what_is_done_is_not_checked_again(made: Plan, pipeline: Pipeline) -> None:
    done = EVERY - {("b", "null-b")}
    found = run.audited(made, done, _terms(made, pipeline.means.start))
    assert [(model, stack) for model, stack, _ in found] == [("b", "null-b")]


def test_a_caller_that_stops_leaves_no_process(made: Plan, pipeline: Pipeline) -> None:
    found = run.audited(made, set(), _terms(made, pipeline.means.start))
    next(iter(found))
    found.close()  # type: ignore[attr-defined]
    assert pipeline.survivors() == []


def test_a_caller_that_stops_waits_for_no_worker(
    made: Plan, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINBENCH_NULL", json.dumps({"fault": "hang", "at": "build"}))
    found = run.audited(made, set(), _terms(made, pipeline.means.start))
    assert next(iter(found))[1] == "null-a"
    time.sleep(2)  # null-b is asked, and does not answer
    began = time.monotonic()
    found.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < made.selection.timeout_s / 4
    assert pipeline.survivors() == []


def test_a_caller_that_stops_waits_for_no_proof(
    made: Plan, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proof that hangs is killed before it is asked to leave."""
    monkeypatch.setattr(process, "GRACE_S", 120.0)
    assert made.selection.models_dir
    (made.selection.models_dir / "a" / "null.py").write_text(HANGS)
    found = run.audited(made, set(), _terms(made, pipeline.means.start))
    assert next(iter(found))[0] == "b"
    began = time.monotonic()
    found.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < process.GRACE_S / 2
    assert pipeline.survivors() == []


def test_two_models_are_audited_at_once_and_each_is_told_when_it_is_done(
    made: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Event()

    def rows_of(_: Any, group: Group, todo: list[Stack]) -> Iterator[run.Found]:
        if group.name == "a":
            assert told.wait(60)
        for stack in map(str, todo):
            yield group.name, stack, [Row(model=group.name, stack=stack, check="x", word="same")]

    monkeypatch.setattr(run._Auditor, "rows_of", rows_of)
    found, rows = list[str](), list[Row]()
    for model, _, some in run.audited(made, set(), _terms(made, None)):
        found.append(model)
        rows += some
        if model == "b":
            told.set()
    assert found[0] == "b"
    ordered = [(row.model, row.stack) for row in command._in_order(rows, made)]
    assert ordered == [(name, stack) for name in NAMES for stack in STACKS]


def test_what_cannot_be_written_ends_the_audit(made: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows_of(*_: Any) -> Iterator[run.Found]:
        raise JournalError("no space left")
        yield

    monkeypatch.setattr(run._Auditor, "rows_of", rows_of)
    with pytest.raises(JournalError, match="no space left"):
        list(run.audited(made, set(), _terms(made, None)))
