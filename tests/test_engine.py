"""The way from the command line to a turn is short, and a run may be killed anywhere on it."""

import itertools
import json
import subprocess
import sys
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results.records import Exit
from benchmarks.results.stored import journal
from benchmarks.worker.process import WorkerProcess
from tests.killing import WHOLE
from tests.pipeline import ROOT, SHORT, Pipeline

MOST_FRAMES, MOST_MODULES = 9, 6


def test_from_the_command_line_to_a_turn_it_is_a_short_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline, ways = Pipeline(monkeypatch, tmp_path), list[tuple[tuple[str, str], ...]]()
    ask = WorkerProcess.ask

    def asked(self: WorkerProcess, verb: str, **told: Any) -> dict[str, Any]:
        if verb == "turn":
            stack = traceback.extract_stack()
            way = [(Path(f.filename).relative_to(ROOT).as_posix(), f.name) for f in ours(stack)]
            ways.append(tuple(way))
        return ask(self, verb, **told)

    monkeypatch.setattr(WorkerProcess, "ask", asked)
    pipeline.run("--phases", "forward,train_step")
    (way,) = set(ways)
    assert way[0] == ("benchmarks/__main__.py", "main")
    assert len(way) + 1 <= MOST_FRAMES, way  # the last is the question to the worker
    modules = {module for module, _ in way} | {"benchmarks/worker/process.py"}
    assert len(modules) <= MOST_MODULES, modules


def test_what_was_measured_before_an_interrupt_is_kept_and_no_worker_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline, ask = Pipeline(monkeypatch, tmp_path), WorkerProcess.ask

    def interrupted(self: WorkerProcess, verb: str, **told: Any) -> dict[str, Any]:
        if verb == "settings":  # what is asked right after a cold start was measured
            raise KeyboardInterrupt
        return ask(self, verb, **told)

    monkeypatch.setattr(WorkerProcess, "ask", interrupted)
    done = pipeline.run("--phases", "cold_start")
    assert done.code == done.run.exit == Exit.INTERRUPTED
    assert [entry["kind"] for entry in done.entries[-3:]] == ["starting", "cold", "end"]
    (start,) = (start for case in done.matchup("cold_start").cases for start in case.cold_starts)
    assert start.first_step_s > 0
    assert pipeline.survivors() == []


def ours(stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
    """The frames of the product."""
    return [f for f in stack if Path(f.filename).is_relative_to(ROOT / "benchmarks")]


@pytest.mark.slow
def test_a_run_that_is_killed_after_any_event_is_completed_when_it_is_taken_up(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.killing", str(tmp_path)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    codes = json.loads(done.stdout)
    assert set(codes) == {0}
    kinds = [entry["kind"] for entry in events(tmp_path / WHOLE)]
    assert kinds.index("calibrating") < kinds.index("launch")
    assert (kinds.count("run"), kinds.count("calibrated"), kinds.count("end")) == (2, 3, 2)
    assert len(codes) - 1 == len(kinds)
    for out in tmp_path.iterdir():
        (run,) = out.glob("*-*/run.json")
        told = json.loads(run.read_text())
        assert told["exit"] == 0
        assert told["aa_floor"]["how"]
        assert told["environment"]["ceiling"]["flops_per_s"] > 0
        made = Counter[tuple[Any, ...]]()
        for path in (*out.glob("*-*/journal.ndjson"), *out.glob("selftest/*-*/journal.ndjson")):
            entries, damaged = journal.read(path)
            assert damaged == 0
            for entry in (e for e in entries if e["kind"] == "launch"):
                for stack, case in entry["cases"].items():
                    made[stack, entry["launch"]] += 1
                    assert len(case["samples_s"]) >= 1
        stacks = ("null-a", "null-a@a", "null-a@b")
        launches = range(SHORT["release"].launches)
        assert set(itertools.product(stacks, launches)) <= made.keys()
        assert set(made.values()) == {1}, out.name


def events(out: Path) -> list[dict[str, Any]]:
    """The events of a run and of those it needed, in the order in which they happened."""
    found = [
        entry
        for path in sorted(out.rglob("journal.ndjson"))
        for entry in journal.read(path)[0]
        if not path.parent.is_symlink() and "latest" not in path.parts
    ]
    return sorted(found, key=lambda entry: entry["at"])
