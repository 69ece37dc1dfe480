"""Workers get an allow-list of variables, and what may change a number is recorded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.machine import environment, variables
from benchmarks.request import discovery
from benchmarks.results.records import Run, Stack
from benchmarks.worker.process import environment_of
from reports.runs.load import LoadError
from reports.runs.store import fingerprint
from reports.trends.compare import compare
from tests.pipeline import OURS, Pipeline
from tests.report_series import environment as stored_environment
from tests.report_series import run

SECRET = "hunter2-do-not-store"  # noqa: S105 - planted, to be looked for
STACK = Stack.parse("null-a")


@pytest.mark.parametrize(
    "name",
    [
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "NVIDIA_API_KEY",
        "TORCH_TOKEN",
        "SSH_AUTH_SOCK",
        "CI_JOB_JWT",
        "GIT_DIR",
        "KERAS_HOME_PASSWORD",
    ],
)
def test_a_variable_that_is_not_listed_reaches_no_worker(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, SECRET)
    assert SECRET not in environment_of(STACK).values()
    assert environment_of(STACK, passed=(name,))[name] == SECRET
    assert SECRET not in variables.recorded((name,)).values()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "TORCHDYNAMO_DISABLE",
            "TF_ENABLE_ONEDNN_OPTS",
            "XLA_FLAGS",
            "KERAS_HOME",
            "JAX_ENABLE_X64",
        ),
        *("OMP_NUM_THREADS", "KMP_BLOCKTIME", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
        *("ONEDNN_VERBOSE", "NVIDIA_TF32_OVERRIDE", "CUDA_VISIBLE_DEVICES", "LD_PRELOAD"),
        *(
            "PYTHONOPTIMIZE",
            "MALLOC_ARENA_MAX",
            "PYTORCH_CUDA_ALLOC_CONF",
            "TRITON_CACHE_AUTOTUNING",
        ),
    ],
)
def test_what_may_change_a_number_is_passed_on_and_recorded(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name, raising=False)
    before = variables.recorded()
    monkeypatch.setenv(name, "7")
    assert environment_of(STACK)[name] == "7"
    assert variables.recorded() == before | {name: "7"}


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHASHSEED", "KERAS_BACKEND"])
def test_what_is_set_for_a_worker_is_not_taken_from_outside(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "outside")
    assert environment_of(STACK).get(name) != "outside"
    assert name not in variables.recorded()


def test_what_the_system_needs_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ"):
        monkeypatch.setenv(name, "here")
        assert environment_of(STACK)[name] == "here"
        assert name not in variables.recorded()


def test_no_secret_reaches_a_model_or_what_is_stored_of_it(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine" / "leaky"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from tests.models.tiny import TASK\n")
    (folder / "null.py").write_text(
        "import os\nprint(dict(os.environ), os.environ.get('DEPLOY_TOKEN'), flush=True)\n"
        "raise ValueError(str(dict(os.environ)))\n"
    )
    monkeypatch.setenv("DEPLOY_TOKEN", SECRET)
    words = ("--models-dir", str(folder.parent), "--models", "leaky", "--stacks", "null-a")
    done = pipeline.call(*words, "--phases", "forward")
    assert done.code == 3
    assert done.case("forward", "null-a").failure is not None
    given = pipeline.call(*words, "--phases", "forward", "--env", "DEPLOY_TOKEN")
    failure = given.case("forward", "null-a").failure
    assert failure is not None
    assert "$DEPLOY_TOKEN" in failure.stderr  # which got it, and wrote it
    assert list(given.run.command)[-2:] == ["--env", "DEPLOY_TOKEN"]
    written = [p for p in pipeline.out.rglob("*") if p.is_file() and not p.is_symlink()]
    assert len(written) >= 4
    assert not [p for p in written if SECRET.encode() in p.read_bytes()]


def test_no_secret_reaches_the_process_that_reads_a_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, folder = tmp_path / "seen", tmp_path / "mine" / "curious"
    folder.mkdir(parents=True)
    told = f"import os\nopen({str(seen)!r}, 'w').write(str(dict(os.environ)))\n"
    (folder / "__init__.py").write_text(f"{told}from tests.models.tiny import TASK\n")
    monkeypatch.setenv("DEPLOY_TOKEN", SECRET)
    discovery.task("curious", folder.parent)
    assert "PATH" in seen.read_text()
    assert SECRET not in seen.read_text()
    discovery.task("curious", folder.parent, ("DEPLOY_TOKEN",))
    assert SECRET in seen.read_text()


def test_no_secret_reaches_an_interpreter_that_is_asked_for_its_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, python = tmp_path / "seen", tmp_path / "python"
    python.write_text(f'#!/bin/sh\nenv > {seen}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("DEPLOY_TOKEN", SECRET)
    assert discovery.unsupported(STACK, "cpu", str(python)) is None
    assert "PATH=" in seen.read_text()
    assert SECRET not in seen.read_text()


def test_they_are_stored_shown_and_asked_for_when_a_run_goes_on(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_PROC_BIND", "true")
    done = pipeline.run("--phases", "forward")
    assert done.run.environment.variables["OMP_PROC_BIND"] == "true"
    rows = {row.check: row for row in done.run.environment.fairness}
    assert rows["variable OMP_PROC_BIND"].state == "info"
    assert rows["variable OMP_PROC_BIND"].detail.startswith("true")
    monkeypatch.setenv("OMP_PROC_BIND", "false")
    assert pipeline.call("--resume", *OURS).code == 2
    assert "OMP_PROC_BIND true, now false" in capsys.readouterr().err
    monkeypatch.delenv("OMP_PROC_BIND")
    assert pipeline.call("--resume", *OURS).code == 2
    assert "OMP_PROC_BIND true, now not set" in capsys.readouterr().err


def with_variables(number: int, **found: str) -> Run:
    return run(number, environment=stored_environment(variables=found))


def test_runs_with_other_variables_are_not_compared() -> None:
    plain, other = with_variables(1), with_variables(2, XLA_FLAGS="--x", OMP_NUM_THREADS="1")
    assert fingerprint(plain) == fingerprint(run(1))
    assert fingerprint(plain) != fingerprint(other)
    with pytest.raises(LoadError, match="OMP_NUM_THREADS not set against 1; XLA_FLAGS not set ag"):
        compare(plain, other)
    same = with_variables(3, XLA_FLAGS="--x", OMP_NUM_THREADS="1")
    assert compare(other, same).compared


def test_what_a_run_needs_to_know_of_its_machine_is_kept_for_its_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = environment.key(["null"], "cpu")
    monkeypatch.setenv("OMP_PROC_BIND", "true")
    assert environment.key(["null"], "cpu") != before


def test_a_name_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.__main__ import main

    assert main(["run", "--env", "A=B", "--models", "mlp"]) == 2
    assert "--env 'A=B': " in capsys.readouterr().err
