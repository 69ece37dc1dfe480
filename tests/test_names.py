"""What a run writes may be published: it holds no name of whose machine it was made on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from benchmarks.__main__ import main
from benchmarks.machine import names
from benchmarks.machine.environment import ROOT
from benchmarks.proof.verification import Verified
from benchmarks.request.selection import Selection
from benchmarks.results.profiles import StepProfile
from benchmarks.results.records import Matchup, Parity
from benchmarks.why import ops
from benchmarks.why.__main__ import main as why
from profilers import neighbours
from reports.pages.build import build
from tests.pipeline import Pipeline

PERSON = "alice-cooper"
BROKEN = (
    "import sys, pathlib\n"
    "print('looked in', pathlib.Path.home(), __file__, sys.prefix, flush=True)\n"
    "from tests.models.tiny.null import build as tiny\n"
    "def build(task):\n"
    "    if '{where}' in sys.argv[0]:\n"
    "        raise OSError(f'nothing in {{__file__}}, {{pathlib.Path.home()}}/.cache or /tmp/of_"
    + PERSON
    + "')\n"
    "    return tiny(task)\n"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of somebody, who has models, data and an interpreter there."""
    found = tmp_path / "homes" / PERSON
    for name, where in (("in_proof", "proof"), ("in_timing", "worker/__main__")):
        folder = found / "private-models" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("from tests.models.tiny import TASK\n")
        (folder / "null.py").write_text(BROKEN.format(where=where))
    (found / "private-data").mkdir()
    python = found / "private-env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("HOME", str(found))
    for name in ("USER", "LOGNAME"):
        monkeypatch.setenv(name, PERSON)
    monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to={found}/dumps")
    return found


def named(folder: Path, fewest: int = 5) -> list[str]:
    """The files below a folder that hold a name of the person or of what is private."""
    written = [p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()]
    assert len(written) >= fewest
    told = (PERSON.encode(), b"private-", str(ROOT).encode())
    return [
        f"{path.name}: {word.decode()}"
        for path in written
        for word in told
        if word in path.read_bytes()
    ]


def test_nothing_that_a_run_writes_names_anybody(pipeline: Pipeline, home: Path) -> None:
    words = ("--models-dir", str(home / "private-models"), "--models", "in_proof,in_timing")
    more = ("--data-dir", str(home / "private-data"), "--phases", "forward")
    python = f"--python=x={home}/private-env/bin/python"
    done = pipeline.call(*words, *more, "--stacks", "null-a@x,null-b", python)
    assert done.code == 3
    failures = [c.failure for m in done.run.matchups for c in m.cases if c.failure]
    assert "MODELS_DIR/in_proof" in failures[0].stderr
    assert any("MODELS_DIR/in_timing" in failure.stack for failure in failures)
    assert done.run.environment.variables["XLA_FLAGS"] == "--xla_dump_to=~/dumps"
    build(done.folder)
    assert (done.folder / "report.html").is_file()
    assert main(["verify", *words, "--stacks", "null-a,null-b", "--out", str(pipeline.out)]) == 3
    assert named(pipeline.out) == []


def test_nothing_that_a_profile_writes_names_anybody(pipeline: Pipeline, home: Path) -> None:
    place = ("--models-dir", str(home / "private-models"), "--out", str(pipeline.out))
    for command in ("ops", "trace", "flame"):
        assert why([command, "in_proof", "forward", *place, "--stacks", "null-a,null-b"]) == 3
    (home / "private-models" / "in_proof" / "null.py").write_text(
        "from tests.models.tiny.null import build as build\n"
    )
    for command in ("ops", "trace", "flame"):
        assert why([command, "in_proof", "forward", *place, "--stacks", "null-a,null-b"]) in {0, 3}
    assert named(pipeline.out) == []


def test_a_profile_that_was_written_names_nobody(home: Path, tmp_path: Path) -> None:
    chosen = Selection(models_dir=home / "private-models", models=("in_proof",))
    subject = SimpleNamespace(
        selection=chosen, matchup=Matchup(model="in_proof", phase="forward", batch=4)
    )
    told = StepProfile(failed={"null-b": f"error: nothing in {home}/private-models/x"})
    ops._keep(subject, told, tmp_path)  # type: ignore[arg-type]
    (written,) = (path.read_text() for path in tmp_path.rglob("ops.json"))
    assert "error: nothing in MODELS_DIR/x" in written
    assert PERSON not in written


def test_a_verification_that_was_written_names_nobody(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Parity(status="partial", adapters=("null",), notes=(f"as in {home}/private-models/x",))
    told = [Verified(name="tiny", parity=found)]
    monkeypatch.setattr("benchmarks.__main__.verified", lambda *_, **__: told)
    words = ("--models-dir", str(home / "private-models"), "--models", "in_proof")
    assert main(["verify", *words, "--stacks", "null-a", "--out", str(tmp_path)]) == 0
    written = (tmp_path / "verify.json").read_text()
    assert "as in MODELS_DIR/x" in written
    assert PERSON not in written


def test_nothing_that_an_audit_writes_names_anybody(pipeline: Pipeline, home: Path) -> None:
    words = ("--models-dir", str(home / "private-models"), "--models", "in_proof,in_timing")
    assert main(["audit", *words, "--stacks", "null-a,null-b", "--out", str(pipeline.out)]) == 3
    assert named(pipeline.out, fewest=3) == []


def test_ids_stay_whatever_the_user_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "a")
    monkeypatch.setenv("HOME", "/")
    told = {"stack": "null-a", "path": "/srv/a/x", "cache": "/var/cache_a", "n": [1, None, 2.5]}
    assert names.hidden(told) == told | {"path": "/srv/USER/x", "cache": "/var/cache_USER"}


def test_programs_of_other_users_are_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = neighbours.Snapshot.take()
    listed = {process.pid: name for process, (name, _) in before.spent_s.items()}
    assert psutil.Process().name() in listed.values()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    other = {name for name, _ in neighbours.Snapshot.take().spent_s.values()}
    assert other == {neighbours.FOREIGN}
