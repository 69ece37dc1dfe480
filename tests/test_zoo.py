"""The models of families: named to be run, counted as published, and proven as any other."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from benchmarks.machine.environment import framework_status
from benchmarks.request import discovery, plan
from benchmarks.request.discovery import UnknownNameError
from benchmarks.request.selection import Selection
from benchmarks.results.records import Parity
from benchmarks.results.stored.codec import from_json
from benchmarks.tasks.task import check
from tests.pipeline import ROOT

ZOO = tuple(discovery.zoo())
FIRST = ("digits_cnn", "lstm", "mlp", "resnet50", "resnet50_transfer", "simple_cnn")
"""What runs where nothing is named."""
INFERENCE = {"faster_rcnn": 134.38e9}
"""Multiply-accumulates that are published of inference, where training takes others."""
UNCOUNTED = {"gpt2_small"}
"""PyTorch counts the products with a tied table, which belong to no layer and are not published."""
LIGHT = ("gcn",)
"""The rest takes long, and is asked for by -m heavy."""
STACKS = ("torch-eager", "tensorflow-graph", "jax-xla", "keras_torch-eager")
LIMIT_S = 1800.0


@cache
def _counted(*names: str) -> dict[str, dict[str, int]]:
    missing = framework_status(("torch",))
    if missing:
        pytest.skip(missing)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.zoo_counts", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, dict[str, int]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_run_that_names_no_model_runs_none_of_a_family() -> None:
    assert discovery.names("models") == FIRST
    assert not set(FIRST) & set(ZOO)
    made = plan.make(Selection(effort="standard", stacks=("torch-eager",)))
    assert tuple(group.model for group in made.groups) == FIRST


def test_models_are_named_by_family_by_pattern_or_all_at_once() -> None:
    images = discovery.families()["images"]
    assert {"vgg16", "resnet50", "simple_cnn"} <= set(images)
    assert discovery.selected(("family:images",)) == images
    assert discovery.selected(("images/*",)) == images
    assert set(discovery.selected(("res*",))) == {"resnet18", "resnet50", "resnet50_transfer"}
    assert discovery.selected(("vgg16", "vgg*", "mlp")) == ("vgg16", "mlp")
    assert set(discovery.selected(("all",))) == {*FIRST, *ZOO}
    assert discovery.selected(()) == ()
    with pytest.raises(UnknownNameError, match=r"no model 'family:nope'; .*: .*\bimages\b"):
        discovery.selected(("family:nope",))
    (group,) = plan.make(Selection(models=("vgg*",), stacks=("torch-eager",))).groups
    assert group.model == "vgg16"


def test_a_users_model_may_be_called_like_a_family_or_like_one_of_the_zoo(tmp_path: Path) -> None:
    for name in ("images", "vgg16"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    assert {"images", "vgg16"} <= set(discovery.names("models", tmp_path))
    assert discovery.models(tmp_path).count("vgg16") == 1
    assert discovery.users("vgg16", tmp_path)
    assert not discovery.users("vgg16")
    assert discovery.family("vgg16", tmp_path) == ""
    assert discovery.selected(("images", "vgg16"), tmp_path) == ("images", "vgg16")


@pytest.mark.parametrize("name", ZOO)
def test_a_model_of_the_zoo_is_whole_at_its_published_size(name: str) -> None:
    task = discovery.task(name)
    check(task)
    standard = task.size("standard")
    assert (standard.shapes, standard.settings) == ({}, {})
    assert task.sized("standard") is task


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_a_model_of_the_zoo_has_the_counts_that_are_published(name: str) -> None:
    published, found = discovery.task(name).published, _counted()[name]
    assert found["parameters"] == published.parameters
    if published.macs is not None and name not in UNCOUNTED:
        assert found["macs"] == pytest.approx(published.macs, rel=5e-3)


@pytest.mark.heavy
@pytest.mark.parametrize("name", INFERENCE)
def test_inference_takes_the_multiply_accumulates_that_are_published_of_it(name: str) -> None:
    assert _counted(name)[name]["macs"] == pytest.approx(INFERENCE[name], rel=5e-3)


def _assert_proven(scratch: Path, names: tuple[str, ...], stacks: tuple[str, ...]) -> None:
    missing = framework_status(("torch", "tensorflow", "keras", "jax")[: 1 + len(stacks)])
    if missing:
        pytest.skip(missing)
    words = ("--models", ",".join(names), "--stacks", ",".join(stacks), "--out", str(scratch))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "verify", "--json", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    rows = json.loads(done.stdout)
    found = {row["model"]: from_json(Parity, row["parity"]) for row in rows}
    assert found.keys() == set(names)
    for proof in found.values():
        assert (proof.status, proof.reason) == ("proven", None)
        assert len(proof.adapters) == len(stacks)
        assert proof.largest_error <= 1e-9
        assert {one.stack for one in proof.timed if one.ok} == set(stacks)


@pytest.mark.slow
def test_a_model_of_a_family_is_proven(tmp_path: Path) -> None:
    _assert_proven(tmp_path, LIGHT, STACKS[:2])


@pytest.mark.heavy
@pytest.mark.parametrize("name", ZOO)
def test_a_model_of_the_zoo_is_proven_on_every_engine(tmp_path: Path, name: str) -> None:
    _assert_proven(tmp_path, (name,), STACKS)
