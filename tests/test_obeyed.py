"""Nothing that is stored is imported or run: only what the command line names again."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.machine import environment, names, variables
from benchmarks.measure.calibration import side
from benchmarks.request import options
from benchmarks.request.selection import Selection, SelectionError, Variant
from benchmarks.results.records import Run
from benchmarks.results.stored.codec import to_json
from benchmarks.results.stored.journal import Journal
from reports.__main__ import main as reports
from reports.runs.load import LoadError
from reports.trends import check
from tests.pipeline import MODELS, ROOT, TINY, Pipeline
from tests.report_series import run, store
from tests.test_replay import own

SLOW = 0.024


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """What appears where a folder of models is imported, or an interpreter started."""
    folder = tmp_path / "evil" / "tiny"
    folder.mkdir(parents=True)
    code = f"open({str(tmp_path / 'sprung')!r}, 'w').close()\n"
    (folder / "__init__.py").write_text(code + "from tests.models.tiny import TASK\n")
    (folder / "null.py").write_text(code + "from tests.models.tiny.null import build as build\n")
    script = tmp_path / "evil" / "python"
    script.write_text(f'#!/bin/sh\ntouch {tmp_path / "sprung"}\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    return tmp_path / "sprung"


def hostile(out: Path, chosen: Selection) -> Path:
    """A run that was begun on this machine and with its variables, as its journal tells."""
    folder = out / "20260101T000000Z-dead"
    folder.mkdir(parents=True)
    here = replace(environment.describe(), variables=names.hidden(variables.recorded()))
    header = replace(run(1, environment=here), run_id=folder.name, matchups=())
    cases = [f"tiny.forward.b4.float32.cpu.{stack}" for stack in chosen.stacks]
    with Journal(folder / "journal.ndjson") as log:
        log.append("run", selection=options.to_stored(chosen), cases=cases, header=to_json(header))
    return folder


def selections(trap: Path) -> dict[str, Selection]:
    evil = trap.parent / "evil"
    chosen = Selection(models=("tiny",), phases=("forward",), stacks=("null-a", "null-b"))
    there = replace(chosen, models_dir=MODELS)
    return {
        "--models-dir": replace(chosen, models_dir=evil),
        "--data-dir": replace(there, data_dir=evil),
        "--python": replace(
            there,
            stacks=("null-a@x", "null-b"),
            variants=(Variant(label="x", python=str(evil / "python")),),
        ),
    }


@pytest.mark.parametrize("flag", ["--models-dir", "--data-dir", "--python"])
def test_what_a_journal_names_is_not_resumed_by_itself(
    trap: Path, tmp_path: Path, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    hostile(out, selections(trap)[flag])
    assert main(["run", "--resume", "--out", str(out)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert flag in told
    assert "give" in told
    assert not trap.exists()


@pytest.mark.parametrize("label", ["../../../x", "/x", "a/b", ""])
def test_a_journal_cannot_place_a_workers_caches(
    tmp_path: Path, label: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = Selection(
        models=("mlp",),
        phases=("forward",),
        stacks=(f"null-a@{label}",),
        variants=(Variant(label=label, threads=1),),
    )
    hostile(tmp_path / "results", chosen)
    assert main(["run", "--resume", "--out", str(tmp_path / "results")]) == 2
    assert f"{label!r} is no name of a variant" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--models-dir", "--python"])
def test_what_a_journal_names_is_not_collected(trap: Path, tmp_path: Path, flag: str) -> None:
    out = tmp_path / "results"
    hostile(out, selections(trap)[flag])
    words = ["--resume", "--collect-only", "--out", str(out), "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "benchmarks", *words],
        cwd=ROOT,
        env=own(tmp_path),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert flag in done.stdout + done.stderr
    assert not trap.exists()


def test_a_run_is_resumed_with_what_is_given_again(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    first = pipeline.run("--phases", "forward")
    assert pipeline.call("--resume").code == 2
    assert "--models-dir" in capsys.readouterr().err
    again = pipeline.call("--resume", "--models-dir", str(MODELS))
    assert (again.code, again.folder) == (0, first.folder)
    assert str(MODELS) not in (first.folder / "journal.ndjson").read_text()
    assert str(MODELS) not in (first.folder / "run.json").read_text()
    assert pipeline.call("--resume", *TINY).code == 2
    assert "leave out --models, --stacks" in capsys.readouterr().err


def test_a_journal_cannot_name_a_run_elsewhere(tmp_path: Path) -> None:
    chosen = Selection(
        models_dir=MODELS, models=("tiny",), phases=("forward",), stacks=("null-a", "null-b")
    )
    found = hostile(tmp_path / "results" / "elsewhere", chosen)
    assert side._begun(found.parent, found.name, chosen) is not None  # where it is, it is taken up
    out = tmp_path / "results" / "selftest"
    out.mkdir()  # without it there is no way back from there
    assert side._begun(out, f"../elsewhere/{found.name}", chosen) is None


def test_every_flag_is_repeated_or_must_be_given_again() -> None:
    repeated, again = set(check.REPEATED), set(options.GIVEN_AGAIN)
    assert repeated | again | {"--only"} == set(options.SELECTION)
    assert set(check.AGAIN) == again
    assert not repeated & again
    switches = {f for f, k in options.SELECTION.items() if k.get("action") == "store_const"}
    assert {f for f, takes_a_value in check.REPEATED.items() if not takes_a_value} == switches


def repeat(monkeypatch: pytest.MonkeyPatch, stored: Run, **given: Any) -> list[str]:
    """The words by which a run is measured again."""
    seen: list[list[str]] = []

    def started(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        seen.append(words)
        return subprocess.CompletedProcess(words, 75, stdout="")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", started)
        with pytest.raises(check.RemeasureError):
            check.measure_again(stored, ("case",), Path("results"), **given)
    return seen[0][1:]


def asked(*words: str) -> Run:
    return run(1, command=("python", "-m", "benchmarks", "run", *words))


def test_a_check_repeats_a_selection_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    words = repeat(monkeypatch, asked("--models", "mlp", "--no-telemetry", "--only", "x"))
    assert words.pop(0) == "-P"
    place = ["--only=case", f"--out={Path('results').resolve()}", "--json"]
    assert words == ["-m", "benchmarks", "run", "--models=mlp", "--no-telemetry", *place]


@pytest.mark.parametrize(
    "words",
    [
        ("--models-dir", "evil"),
        ("--models-dir=evil",),
        ("--models-d", "evil"),
        ("--python", "x=evil"),
        ("--data-dir", "evil"),
        ("--out", "evil"),
        ("--resume", "evil"),
        ("--models",),
        ("mlp",),
        ("--no-telemetry", "evil"),
    ],
)
def test_a_check_obeys_no_flag_that_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(subprocess, "run", pytest.fail)
    with pytest.raises(LoadError) as caught:
        check.measure_again(asked("--models", "mlp", *words), ("case",), Path("results"))
    assert "\n" not in str(caught.value)


def test_a_value_is_no_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    words = repeat(monkeypatch, asked("--models", "--models-dir=evil"))
    assert "--models=--models-dir=evil" in words


def test_a_check_repeats_with_what_is_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = asked("--models-dir", "MODELS_DIR", "--models", "mine", "--python", "x=PYTHON")
    with pytest.raises(LoadError, match="give --models-dir, --python again"):
        check.measure_again(made, ("case",), Path("results"))
    words = repeat(
        monkeypatch, made, given={"--models-dir": ["mine"], "--python": ["x=envs/python"]}
    )
    assert "--models-dir=mine" in words
    assert "--python=x=envs/python" in words
    assert not any("MODELS_DIR" in word or "PYTHON" in word for word in words)


def test_the_command_line_of_a_check_gives_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("python", "-m", "benchmarks", "run", "--models-dir", "MODELS_DIR")
    out = str(store(tmp_path, run(1), run(2, b_s=SLOW, command=command)))
    assert reports(["check", "--out", out]) == 2
    assert "--models-dir" in capsys.readouterr().err
    seen: list[list[str]] = []

    def locked(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        seen.append(words)
        return subprocess.CompletedProcess(words, 75, stdout="")

    monkeypatch.setattr(subprocess, "run", locked)
    assert reports(["check", "--out", out, "--models-dir", "mine"]) == 75
    assert "--models-dir=mine" in seen[0]


def test_given_again_means_each_of_them() -> None:
    stored = selections(Path("/nowhere/sprung"))["--python"]
    with pytest.raises(SelectionError, match="--models-dir DIR, --python x=INTERPRETER"):
        options.renewed(stored, Selection())
    other = Variant(label="y", python=sys.executable)
    with pytest.raises(SelectionError, match="--python x=INTERPRETER"):
        options.renewed(stored, Selection(models_dir=MODELS, variants=(other,)))
    given = Selection(models_dir=MODELS, variants=(replace(other, label="x"),))
    found = options.renewed(stored, given)
    assert found.variants == given.variants
    assert found.stacks == stored.stacks
