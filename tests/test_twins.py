"""The promise everything rests on: equal twins are proven equal, and unequal ones are refused.

Every shipped model goes through the real proof, and so do twins that are wrong in the ways in which
people get them wrong; those must be named by the layer that is to blame, and never be timed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks import parity, registry
from benchmarks.adapters._protocol import Settings
from benchmarks.environment import framework_status
from benchmarks.models._spec import ModelSpec
from benchmarks.records import Parity, from_json, read_run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
WRONG = Path(__file__).parent / "wrong_twins"
QUANTITIES = ("output", "loss", "gradients", "after_steps_sgd", "after_steps_adam", "after_steps")
SMALL = {"mlp": 535_818, "simple_cnn": 11_290, "digits_cnn": 21_840, "lstm": 2_692_874}
LARGE = {"resnet50": 25_557_032, "resnet50_transfer": 24_035_146}
BLAMED = {
    "bn_eps": ("bn", "output of the layer"),
    "asymmetric_padding": ("conv", "output of the layer"),
    "gelu_form": ("gelu", "output of the layer"),
    "swapped_gates": ("lstm", "output of the layer"),
    "bn_momentum": ("bn.mean", "value after 3 steps of sgd"),
}
ADAPTERS = ("torch", "tensorflow")


def _skip_without_both() -> None:
    missing = framework_status(("torch", "tensorflow", "keras"))
    if missing:
        pytest.skip(missing)


@pytest.fixture(autouse=True)
def _both_frameworks() -> None:
    _skip_without_both()


def _call(*words: str, scratch: Path) -> subprocess.CompletedProcess[str]:
    """The command line, with locks and scratch files of its own."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT,
        env=dict(os.environ) | {"TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def _verified(scratch: Path, *words: str) -> tuple[int, dict[str, Parity]]:
    """The exit code of a verification and, by model, what it found."""
    done = _call("verify", "--json", *words, "--out", str(scratch), scratch=scratch)
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)
    return done.returncode, {row["model"]: from_json(Parity, row["parity"]) for row in rows}


_PROVE = """
import gc, json, sys
from pathlib import Path
from benchmarks import assembly, parity, registry
from benchmarks.adapters._protocol import Settings
asked = json.loads(sys.argv[1])
settings = Settings(**asked["settings"])
adapter = registry.adapter(asked["adapter"])(settings)
facts = {}
for name, order in asked["orders"].items():
    if order["unmatched"]:  # the last one
        adapter._match_epsilon = lambda optimizer, chosen: None
    session = assembly.build(adapter, settings, order["job"])
    facts[name] = parity.write_proof(session, Path(order["path"]), seed=settings.seed)
    del session
    gc.collect()
Path(asked["facts"]).write_text(json.dumps(facts))
"""
UNMATCHED = "unmatched epsilon"


def _spec(model: str) -> ModelSpec:
    """A model of the tests or a shipped one, of the size that a verification proves."""
    spec = registry.spec(model, WRONG)
    return spec.at(spec.size("quick"))


def _order(model: str, path: Path, *, unmatched: bool) -> dict[str, Any]:
    spec = _spec(model)
    job = {
        "model": model,
        "models_dir": str(WRONG),
        "input_shape": spec.input_shape,
        "batch": spec.proof_batch,
        "deterministic": True,
        "data": None,
        "data_dir": None,
    }
    return {"job": job, "path": str(path), "unmatched": unmatched}


@pytest.fixture(scope="module")
def direct() -> dict[str, Parity]:
    """The proofs of many models from one process per framework, which saves starting them all.

    ``UNMATCHED`` is the control with PyTorch's Adam left to an epsilon of its own.
    """
    _skip_without_both()
    # Not pytest's folder, which would keep these gigabytes for three runs.
    with tempfile.TemporaryDirectory(prefix="twinbench-test-") as scratch:
        return _proven(Path(scratch))


def _proven(scratch: Path) -> dict[str, Parity]:
    chosen = {name: name for name in (*LARGE, "honest", *BLAMED)} | {UNMATCHED: "honest"}
    processes, paths = {}, {a: {n: scratch / f"{a}-{n}.npz" for n in chosen} for a in ADAPTERS}
    for name in ADAPTERS:
        adapter = registry.adapter(name)
        asked = {
            "adapter": name,
            "settings": asdict(Settings(mode=adapter.proof_mode, precision="float64")),
            "facts": str(scratch / f"{name}.json"),
            "orders": {
                n: _order(model, paths[name][n], unmatched=n == UNMATCHED and name == "torch")
                for n, model in chosen.items()
            },
        }
        processes[name] = subprocess.Popen(
            [sys.executable, "-c", _PROVE, json.dumps(asked)],
            cwd=ROOT,
            env=dict(os.environ) | dict(adapter.env) | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    facts = {}
    for name, process in processes.items():
        _, errors = process.communicate(timeout=400)
        assert process.returncode == 0, errors[-3000:]
        facts[name] = json.loads((scratch / f"{name}.json").read_text())
    return {
        n: parity.compare(
            _spec(model), {a: paths[a][n] for a in ADAPTERS}, {a: facts[a][n] for a in ADAPTERS}
        )
        for n, model in chosen.items()
    }


def _assert_proven(model: str, proof: Parity, parameters: int) -> None:
    assert (proof.status, proof.reason) == ("proven", None), model
    assert proof.adapters == ADAPTERS
    assert set(proof.max_rel_error) == set(QUANTITIES)
    assert max(proof.max_rel_error.values()) <= 1e-9, proof.max_rel_error
    assert proof.parameters == parameters
    spec = registry.spec(model)
    assert proof.forward_flops == spec.at(spec.size("quick")).flops("forward")
    assert len(proof.weights_sha256 or "") == 64


def test_every_small_model_is_proven_and_computes_the_same_as_timed(tmp_path: Path) -> None:
    code, found = _verified(
        tmp_path, "--models", ",".join(SMALL), "--stacks", "torch-eager,tensorflow-graph"
    )
    assert code == 0
    assert found.keys() == SMALL.keys()
    for model, proof in found.items():
        _assert_proven(model, proof, SMALL[model])
        stacks = {check.stack for check in proof.timed}
        assert stacks == {"torch-eager", "tensorflow-graph"}
        assert all(check.ok for check in proof.timed)
        quantities = {check.quantity for check in proof.timed}
        dropout = registry.spec(model).dropout  # each framework draws masks of its own
        assert quantities == ({"output"} if dropout else {"output", "loss", "update"})


@pytest.mark.parametrize("model", LARGE)
def test_every_large_model_is_proven(direct: dict[str, Parity], model: str) -> None:
    _assert_proven(model, direct[model], LARGE[model])


def test_keras_on_pytorch_is_proven_where_the_names_of_layers_have_dots(tmp_path: Path) -> None:
    """Its parameters take none; and what a frozen layer puts out has no gradient."""
    stacks = ("torch-eager", "keras_torch-eager")
    code, found = _verified(tmp_path, "--models", "resnet50_transfer", "--stacks", ",".join(stacks))
    assert code == 0
    proof = found["resnet50_transfer"]
    assert (proof.status, proof.adapters) == ("proven", ("torch", "keras_torch"))
    assert max(proof.max_rel_error.values()) <= 1e-9
    assert {check.stack for check in proof.timed if check.ok} == set(stacks)


def test_no_shipped_model_escapes_the_proof() -> None:
    assert set(registry.names("models")) == SMALL.keys() | LARGE.keys()


def test_one_framework_alone_is_checked_against_the_spec(tmp_path: Path) -> None:
    code, found = _verified(tmp_path, "--models", "simple_cnn", "--stacks", "torch-eager")
    assert code == 0
    assert found["simple_cnn"].status == "partial"
    assert found["simple_cnn"].parameters == SMALL["simple_cnn"]


def test_the_control_is_proven(direct: dict[str, Parity]) -> None:
    """Else a refusal below would prove nothing."""
    proof = direct["honest"]
    assert (proof.status, proof.reason) == ("proven", None)
    assert max(proof.max_rel_error.values()) <= 1e-9


def test_a_wrong_twin_fails_the_verification(tmp_path: Path) -> None:
    code, found = _verified(tmp_path, "--models-dir", str(WRONG), "--models", "gelu_form")
    assert code == 4
    assert found["gelu_form"].status == "failed"
    assert found["gelu_form"].timed == ()
    assert found["gelu_form"].first_difference is not None
    assert found["gelu_form"].first_difference.where == "gelu"


@pytest.mark.parametrize("model", BLAMED)
def test_a_wrong_twin_is_refused_and_its_first_wrong_layer_named(
    direct: dict[str, Parity], model: str
) -> None:
    proof = direct[model]
    assert proof.status == "failed"
    assert max(proof.max_rel_error.values()) > 1e-6
    difference = proof.first_difference
    assert difference is not None
    assert (difference.where, difference.quantity) == BLAMED[model]
    assert difference.shape_a == difference.shape_b != ()
    assert difference.error is not None
    assert difference.error > 1e-6
    assert difference.a.startswith("torch: [")
    assert difference.b.startswith("tensorflow: [")
    assert difference.a.removeprefix("torch") != difference.b.removeprefix("tensorflow")
    assert f"they part first at {difference.where}" in (proof.reason or "")


def test_wrong_training_alone_leaves_forward_and_backward_proven(direct: dict[str, Parity]) -> None:
    errors = direct["bn_momentum"].max_rel_error
    assert max(errors[q] for q in ("output", "loss", "gradients")) <= 1e-9
    assert min(errors[q] for q in ("after_steps_sgd", "after_steps_adam")) > 0.01


def test_a_wrong_twin_is_reported_and_never_timed(tmp_path: Path) -> None:
    done = _call(
        *("run", "--json", "--phases", "forward", "--stacks", "torch-eager,tensorflow-graph"),
        *("--models", "bn_eps", "--models-dir", str(WRONG), "--out", str(tmp_path / "results")),
        scratch=tmp_path,
    )
    assert done.returncode == 4, done.stderr
    run = read_run(json.loads(done.stdout))
    assert run.exit == 4
    (result,) = run.matchups
    assert result.parity is not None
    assert result.parity.status == "failed"
    assert [case.stack for case in result.cases] == ["torch-eager", "tensorflow-graph"]
    for case in result.cases:
        assert case.status == "parity_failed"
        assert "they part first at bn" in (case.reason or "")
        assert case.launches == ()
        assert set(case.summary().values()) == {None}
    (verdict,) = result.verdicts
    assert (verdict.verdict, verdict.ratio) == ("not comparable", None)


def test_an_unmatched_epsilon_of_adam_is_found(direct: dict[str, Parity]) -> None:
    """The two frameworks add epsilon at different places: unmatched, 'Adam' is two optimizers."""
    proof = direct[UNMATCHED]
    assert proof.status == "failed"
    errors = proof.max_rel_error
    assert errors["after_steps_adam"] > 1e-9
    assert max(errors[q] for q in ("output", "loss", "gradients", "after_steps_sgd")) <= 1e-9
    assert proof.first_difference is not None
    assert proof.first_difference.quantity == "value after 3 steps of adam"
    assert "after_steps_adam" in (proof.reason or "")
