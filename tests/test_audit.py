"""The audit: each check on a planted offender, its journal, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.audit import checks, command, run
from benchmarks.audit.child import changed, difference
from benchmarks.audit.rows import Row, judged
from benchmarks.machine.environment import framework_status
from benchmarks.results.stored import journal
from reports.archives import audit
from reports.runs.load import LoadError
from tests.pipeline import TINY

Capture = pytest.CaptureFixture[str]
ROW = Row(model="tiny", stack="null-a", check="batch", word="same")
TASK = """
from benchmarks.tasks.task import LossPart, Size, Task, classes, features

TASK = Task(
    title="An offender",
    inputs={"features": features(5)},
    targets={"label": classes(3)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    sizes={"quick": Size(batch=4), "standard": Size(batch=4)},
)
"""
TORCH = """
import torch


class Offender(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        {torch}


def build(task):
    return torch.nn.Sequential(
        torch.nn.Linear(5, 4), Offender(), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 3)
    )
"""
KERAS = """
import keras


class Offender(keras.layers.Layer):
    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.seed = keras.random.SeedGenerator(0)

    def call(self, x):
        {keras}


def build(task):
    return keras.Sequential([
        keras.Input((5,)), keras.layers.Dense(4), Offender(),
        keras.layers.BatchNormalization(), keras.layers.Dense(3),
    ])
"""
OFFENDERS = {
    "batch": ("return x - x.mean(0)", "return x - keras.ops.mean(x, 0)"),
    "counting": (
        "self.calls += 1; return x * (1 + self.calls)",
        "self.calls.assign_add(1.0); return x * (1 + self.calls)",
    ),
    "drawing": (
        "return x + torch.rand_like(x)",
        "return x + keras.random.uniform((4,), seed=self.seed)",
    ),
    "innocent": ("return x", "return x"),
}
CAUGHT = {
    "batch": {"batch": "differs", "again": "same", "unchanged": "same"},
    "counting": {"again": "not deterministic", "unchanged": "changes"},
    "drawing": {"again": "not deterministic", "unchanged": "changes"},
    "innocent": {"again": "same", "unchanged": "same", "saved": "same"},
}
"""Words of the checks that an offender is for."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Any]:
    """The rows of the checks in one worker, by framework, offender and check."""
    if missing := framework_status(("torch", "tensorflow", "keras")):
        pytest.skip(missing)
    place = tmp_path_factory.mktemp("offenders")
    for name, (torch, keras) in OFFENDERS.items():
        folder = place / name
        folder.mkdir()
        (folder / "__init__.py").write_text(TASK)
        (folder / "torch.py").write_text(TORCH.replace("{torch}", torch))
        (folder / "keras.py").write_text(KERAS.replace("{keras}", keras))
    rows: dict[tuple[str, str], Any] = {}
    for framework in ("torch", "tensorflow"):
        program = [sys.executable, "-m", "tests.auditing", framework, str(place), *OFFENDERS]
        done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        for key, one in json.loads(done.stdout.splitlines()[-1]).items():
            rows[framework, key] = one
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
@pytest.mark.parametrize("offender", OFFENDERS)
def test_a_planted_offender_is_caught(
    framework: str, offender: str, found: dict[tuple[str, str], Any]
) -> None:
    for check, word in CAUGHT[offender].items():
        assert found[framework, f"{offender}/{check}"]["word"] == word, check


@pytest.mark.slow
@pytest.mark.parametrize(("framework", "word"), [("torch", "changes"), ("tensorflow", "same")])
def test_the_flag_alone_leaves_statistics_moving_in_pytorch(
    framework: str, word: str, found: dict[tuple[str, str], Any]
) -> None:
    assert found[framework, "innocent/frozen"]["word"] == "same"
    alone = found[framework, "innocent/frozen by the flag alone"]
    assert alone["word"] == word
    assert ("running_mean" in alone["reason"]) == (framework == "torch")


def test_differences_are_relative_and_never_hide_a_nan() -> None:
    a, b = {"output": np.array([1.0, 4.0])}, {"output": np.array([1.0, 5.0])}
    assert difference(a, a) == 0
    assert difference(a, b) == pytest.approx(0.2)
    assert difference({"output": np.array([np.nan, 5.0])}, b) == np.inf
    assert difference({"output": np.ones(3)}, b) == np.inf
    assert difference({"other": np.ones(2)}, b) == np.inf
    assert changed({"w": np.zeros(2)}, {"w": np.array([0.0, -0.0])}) == ["w"]
    assert changed({"w": np.zeros(2)}, {"w": np.zeros(2), "s": np.ones(1)}) == ["s"]
    assert [judged(f, 0.1) for f in (0.0, 0.1, 0.2)] == ["same", "rounding", "differs"]


def test_the_exit_code_is_4_where_frameworks_differ_and_3_where_a_check_failed() -> None:
    failed, refuted = replace(ROW, word="failed"), replace(ROW, word="differs", refutes=True)
    assert command.code([ROW, replace(ROW, word="differs")]) == 0
    assert command.code([ROW, failed]) == 3
    assert command.code([failed, refuted]) == 4


def test_checks_are_found_by_their_files() -> None:
    assert {checks.load(name).LETTER for name in checks.names()} == set("abcdefg")
    assert checks.names()[-1] == "frozen"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[set[tuple[str, str]]]:
    """What is done already each time that an audit goes through its stacks, which find a row."""
    seen: list[set[tuple[str, str]]] = []

    def audited(
        made: Any, threads: int, done: set[tuple[str, str]], start: Any
    ) -> Iterator[tuple[str, str, list[Row]]]:
        del threads, start
        seen.append(set(done))
        for stack in made.groups[0].stacks:
            if ("tiny", str(stack)) not in done:
                yield "tiny", str(stack), [replace(ROW, stack=str(stack), figure=np.inf)]
                if len(seen) == 1:
                    raise KeyboardInterrupt

    monkeypatch.setattr(run, "audited", audited)
    return seen


def test_an_interrupted_audit_goes_on_where_its_journal_ends(
    told: list[set[tuple[str, str]]], tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "results"
    words = ["audit", *TINY, "--out", str(out)]
    assert main(words) == 130
    assert "--resume" in capsys.readouterr().err
    assert main(["audit", *TINY[:2], "--out", str(out), "--resume", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert told == [set(), {("tiny", "null-a")}]
    assert [row["stack"] for row in document["rows"]] == ["null-a", "null-b"]
    assert document["rows"][0]["figure"] is None
    entries, damaged = journal.read(out / "audits" / "latest" / command.JOURNAL)
    assert [e["kind"] for e in entries] == ["audit", "rows", "rows"]
    assert not damaged
    page = (out / "audits" / "latest" / "audit.html").read_text()
    assert page.count(">not comparable: <") == 2
    assert "2 rows: 2 same" in page


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--resume", "nowhere"), "there is no audit 'nowhere'"),
        (("--resume", "../x"), "there is no audit '../x'"),
        (("--resume", "--models", "mlp"), "leave out --models"),
        (("--models", "nobody"), "nobody"),
    ],
)
def test_what_cannot_be_audited_is_told_in_one_line(
    words: tuple[str, ...], text: str, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["audit", *words, "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line


@pytest.mark.parametrize("row", [{}, {**run.as_entry([ROW])[0], "figure": "x"}])
def test_no_page_is_made_of_a_row_that_is_none(row: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="cannot read"):
        audit.write(tmp_path)
    (tmp_path / audit.SUMMARY).write_text(json.dumps({"rows": [row]}))
    with pytest.raises(LoadError, match="not what an audit wrote"):
        audit.write(tmp_path)


@pytest.mark.heavy
def test_a_whole_audit_finds_what_another_model_in_the_process_changes(
    tmp_path: Path, capsys: Capture
) -> None:
    if missing := framework_status(("torch",)):
        pytest.skip(missing)
    folder = tmp_path / "models" / "influenced"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(TASK)
    there = '__import__("sys").modules'
    scaled = f'return x * (1 + ("benchmarks.models.mlp.torch" in {there}))'
    (folder / "torch.py").write_text(TORCH.replace("{torch}", scaled))
    words = ["--models-dir", str(folder.parent), "--models", "influenced"]
    code = main(
        ["audit", *words, "--stacks", "torch-eager", "--out", str(tmp_path / "out"), "--json"]
    )
    rows = {r["check"]: r for r in json.loads(capsys.readouterr().out)["rows"]}
    assert {rows[name]["word"] for name in ("after other models", "beside another model")} == {
        "differs"
    }
    assert rows["again"]["word"] == rows["with other threads"]["word"] == "same"
    assert rows["across in float64"]["word"] == "unsupported"  # there is one framework alone
    assert code == 0
