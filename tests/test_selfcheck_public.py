"""Our twins are timed beside public definitions, in turns, and only where both are of one size."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.request import discovery
from benchmarks.request.selection import Selection
from benchmarks.results.records import Exit
from benchmarks.selfcheck import public
from benchmarks.why._shared.subjects import Subject, ask, subject
from benchmarks.worker.process import WorkerProcess
from tests.pipeline import MODELS

WORDS = ["--models", "tiny", "--phases", "forward", "--stacks", "null-a", "--launches", "2"]


@pytest.fixture
def definitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for that of the public definitions."""
    folder = tmp_path / "definitions"
    shutil.copytree(MODELS, folder)
    monkeypatch.setattr(public, "DEFINITIONS", folder)
    return folder


def test_our_twin_is_timed_over_the_public_definition_in_turns(
    definitions: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = list[bool]()

    def turn_s(worker: WorkerProcess, of: Subject) -> float:
        ours = of.selection.models_dir != definitions
        order.append(ours)
        assert ask(worker, of, "turn")["run_s"] > 0
        return 1.5 if ours else 1.0

    monkeypatch.setattr(public, "_turn_s", turn_s)
    assert public.main([*WORDS, "--models-dir", str(MODELS)]) == Exit.OK
    *_, row = capsys.readouterr().out.splitlines()
    batch = discovery.task("tiny", MODELS).size("standard").batch
    assert row == f"| tiny | forward | {batch} | null-a | 1.500 | 1.500 to 1.500 |"
    assert order == [False, True, True, False] * public.TURNS


def test_models_of_two_sizes_are_refused(
    definitions: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(chosen: Selection) -> Subject:
        made = subject(chosen)
        if chosen.models_dir != definitions:
            return made
        return replace(made, layers=(*made.layers, *made.layers))

    monkeypatch.setattr(public, "subject", of)
    assert public.main([*WORDS, "--models-dir", str(MODELS)]) == Exit.USAGE
    assert "parameters in ours" in capsys.readouterr().err


def test_one_launch_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert public.main([*WORDS[:-1], "1"]) == Exit.USAGE
    assert "--launches is 1" in capsys.readouterr().err


def test_every_definition_that_is_timed_is_one_of_our_models() -> None:
    there = {path.parent.name for path in public.DEFINITIONS.glob(discovery.MODEL)}
    assert set(public.MODELS) < there <= set(discovery.models())
