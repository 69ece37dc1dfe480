"""The audit: each check on a planted offender."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.audit import checks
from benchmarks.audit.child import changed, difference
from benchmarks.audit.rows import judged
from benchmarks.machine.environment import framework_status

Capture = pytest.CaptureFixture[str]
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
import random

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
import random

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
    "unsaved": (
        "self.own = getattr(self, 'own', random.random()); return x * (1 + self.own)",
        "self.own = getattr(self, 'own', random.random()); return x * (1 + self.own)",
    ),
    "innocent": ("return x", "return x"),
}
CAUGHT = {
    "batch": {"batch": "differs", "again": "same", "unchanged": "same"},
    "counting": {"again": "not deterministic", "unchanged": "changes"},
    "drawing": {"again": "not deterministic", "unchanged": "changes"},
    "unsaved": {"saved": "differs", "again": "same", "unchanged": "same"},
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
    begun = {
        framework: subprocess.Popen(
            [sys.executable, "-m", "tests.auditing", framework, str(place), *OFFENDERS],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for framework in ("torch", "tensorflow")
    }
    for framework, process in begun.items():
        told, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]
        for key, one in json.loads(told.splitlines()[-1]).items():
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


def test_checks_are_found_by_their_files() -> None:
    assert {checks.load(name).LETTER for name in checks.names()} == set("abcdefgh")
    assert checks.names()[-1] == "frozen"


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
