"""A worker that served another model before is held against a fresh one."""

from __future__ import annotations

import pytest

from benchmarks.results.records import Exit, Stack
from benchmarks.selfcheck import sharing
from benchmarks.why._shared.subjects import Subject, ask
from benchmarks.worker.process import WorkerProcess
from tests.pipeline import MODELS

WORDS = ["--models", "tiny,tiny", "--phases", "forward", "--stacks", "null-a"]


def test_the_last_model_is_timed_in_a_fresh_worker_and_in_one_that_served_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, serve = list[WorkerProcess](), sharing.serve

    def serving(worker: WorkerProcess, of: Subject, stack: Stack) -> None:
        serve(worker, of, stack)
        served.append(worker)

    def turn_s(worker: WorkerProcess, of: Subject) -> float:
        assert ask(worker, of, "turn")["run_s"] > 0
        return 1.5 if worker in served else 1.0

    monkeypatch.setattr(sharing, "serve", serving)
    monkeypatch.setattr(sharing, "_turn_s", turn_s)
    asked = [*WORDS, "--launches", "2", "--models-dir", str(MODELS)]
    assert sharing.main(asked) == Exit.OK
    *_, row = capsys.readouterr().out.splitlines()
    assert row == "| tiny | tiny | forward | null-a | 1.500 | 1.500 to 1.500 |"
    assert len(served) == 2


@pytest.mark.parametrize("words", [["--launches", "1"], ["--models", "mlp"]])
def test_one_launch_or_one_model_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert sharing.main(words) == Exit.USAGE
    said = capsys.readouterr().err
    assert "name at least two" in said
    assert said.count("\n") == 1
