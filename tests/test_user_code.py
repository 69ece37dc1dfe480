"""A user's code runs in workers alone: what it does to its process costs its own cases."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.__main__ import main
from benchmarks.models.lstm import TASK as LSTM
from benchmarks.models.resnet50 import TASK as RESNET
from benchmarks.request import discovery, plan, reading
from benchmarks.request.selection import Selection
from benchmarks.tasks import plain
from benchmarks.tasks.optimizers import Adam
from benchmarks.tasks.schedules import Cosine, Piecewise
from benchmarks.tasks.task import Objective, Task, boxes, features, image
from tests.objectives.tiny_gan import TASK as GAN
from tests.pipeline import Pipeline, alive, until

GOOD = "from tests.models.tiny import TASK\n"
FAULTS = {
    "exits": ("import sys; sys.exit(7)", "error", "exit 7"),
    "leaves": ("import os; os._exit(0)", "error", "without an answer"),
    "crashes": ("import os; os.abort()", "crash", "SIGABRT"),
    "hangs": ("while True: pass", "timeout", "took longer than"),
    "raises": ("raise ValueError('not today')", "error", "ValueError: not today"),
    "syntax": ("def", "error", "SyntaxError"),
    "lacks": ("", "error", "must define TASK, a Task"),
    "noisy": ("print('x' * 10**6); raise KeyError('lost')", "error", "KeyError"),
}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with a sound model, which says in which process it was imported."""
    write(
        tmp_path / "models",
        "good",
        f"open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}} ')",
    )
    return tmp_path / "models"


def write(folder: Path, name: str, code: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(
        f"import os\n{code}\n{GOOD if name == 'good' else ''}"
    )
    (folder / name / "null.py").write_text("from tests.models.tiny.null import build as build\n")


@pytest.mark.parametrize("name", FAULTS)
def test_a_model_that_cannot_be_imported_costs_its_own_cases(
    pipeline: Pipeline, models: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    code, status, reason = FAULTS[name]
    write(models, "bad", code)
    monkeypatch.setattr(reading, "PATIENCE_S", 2.0 if name == "hangs" else 60.0)
    words = ("--models-dir", str(models), "--models", "bad,good", "--stacks", "null-a")
    done = pipeline.call(*words, "--phases", "forward")
    assert done.code == 3
    found = {m.matchup.model: m.cases[0] for m in done.run.matchups}
    assert found["good"].status == "ok"
    assert found["bad"].status == status
    assert reason in (found["bad"].reason or "")
    assert "\n" not in (found["bad"].reason or "")
    assert str(os.getpid()) not in (models.parent / "pids").read_text().split()


def test_a_model_alone_that_cannot_be_imported_is_one_line(
    models: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write(models, "bad", "import sys; sys.exit(7)")
    words = ["--models-dir", str(models), "--models", "bad", "--stacks", "null-a"]
    assert main(["run", *words, "--out", str(tmp_path / "results")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "model 'bad'" in told
    assert "exit 7" in told
    assert not (tmp_path / "results").exists()


def test_list_imports_nobodys_folder(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(models, "bad", "import os; os.abort()")
    assert main(["list", "--models-dir", str(models), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["models"]
    assert found["good"] == found["bad"] == "of your own"
    assert found["mlp"]
    assert not (tmp_path / "pids").exists()


def test_a_hang_is_ended_in_time_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))"
    code = f"import subprocess\nchild = subprocess.Popen(['sleep', '600'])\n{told}\n"
    write(tmp_path, "bad", f"{code}while True: pass")
    monkeypatch.setattr(reading, "PATIENCE_S", 2.0)
    monkeypatch.setattr("tests.pipeline.PATIENCE_S", 30.0)
    began = time.monotonic()
    with pytest.raises(discovery.BadModelError, match="took longer than 2 s"):
        discovery.task("bad", tmp_path)
    assert time.monotonic() - began < 15
    child = int((tmp_path / "pid").read_text())
    until(lambda: not (psutil.pid_exists(child) and alive(psutil.Process(child))))


@pytest.mark.parametrize(
    "task",
    [
        LSTM,
        RESNET,
        GAN,
        Task(
            inputs={"x": image(4, 4, 1), "y": features(3)},
            targets=boxes("found", 5, 3),
            loss=None,
            optimizer=Adam(0.1, schedule=Cosine(10, 2)),
            objectives=(),
            heavy=True,
        ),
        Task(
            inputs={"x": features(3)},
            objectives=(
                Objective(name="a", loss=None, optimizer=Adam(schedule=Piecewise((1,), (0.5,)))),
            ),
        ),
    ],
)
def test_a_task_comes_back_from_its_process_as_it_was(task: Task) -> None:
    assert plain.task(json.loads(json.dumps(plain.of(task)))) == task


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"is": "Task"},
        {"is": "Popen", "args": ["touch", "x"]},
        plain.of(LSTM) | {"inputs": 3},
        plain.of(LSTM) | {"optimizer": {"is": "Task"}},
        plain.of(LSTM) | {"more": 3},
    ],
)
def test_what_is_no_task_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="not a task"):
        plain.task(data)


def test_a_plan_asks_for_each_model_once(models: Path) -> None:
    chosen = Selection(models_dir=models, models=("good",), stacks=("null-a",))
    assert plan.make(chosen).groups == plan.make(chosen).groups
    assert len((models.parent / "pids").read_text().split()) == 1
