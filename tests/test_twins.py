"""The promise everything rests on: equal twins are proven equal, and unequal ones are refused.

Every shipped model goes through the real proof, and so do twins that are wrong in the ways in which
people get them wrong; those must be named by the layer that is to blame, and never be timed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks import parity, registry
from benchmarks.adapters._protocol import Settings
from benchmarks.environment import framework_status
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
Proofs = tuple[int, dict[str, Parity]]


@pytest.fixture(autouse=True)
def _both_frameworks() -> None:
    missing = framework_status(("torch", "tensorflow", "keras"))
    if missing:
        pytest.skip(missing)


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


def _verified(scratch: Path, *words: str) -> Proofs:
    """The exit code of a verification and, by model, what it found."""
    done = _call("verify", "--json", *words, scratch=scratch)
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)
    return done.returncode, {row["model"]: from_json(Parity, row["parity"]) for row in rows}


def _assert_proven(proofs: Proofs, expected: dict[str, int]) -> None:
    code, found = proofs
    assert code == 0
    assert found.keys() == expected.keys()
    for model, proof in found.items():
        assert (proof.status, proof.reason) == ("proven", None), model
        assert proof.adapters == ("torch", "tensorflow")
        assert set(proof.max_rel_error) == set(QUANTITIES)
        assert max(proof.max_rel_error.values()) <= 1e-9, proof.max_rel_error
        assert proof.parameters == expected[model]
        spec = registry.spec(model)
        assert proof.forward_flops == spec.at(spec.size("quick")).flops("forward")
        assert len(proof.weights_sha256 or "") == 64


def test_every_small_model_is_proven(tmp_path: Path) -> None:
    _assert_proven(_verified(tmp_path, "--models", ",".join(SMALL)), SMALL)


def test_every_large_model_is_proven(tmp_path: Path) -> None:
    _assert_proven(_verified(tmp_path, "--models", ",".join(LARGE)), LARGE)


def test_no_shipped_model_escapes_the_proof() -> None:
    assert set(registry.names("models")) == SMALL.keys() | LARGE.keys()


def test_one_framework_alone_is_checked_against_the_spec(tmp_path: Path) -> None:
    code, found = _verified(tmp_path, "--models", "simple_cnn", "--stacks", "torch-eager")
    assert code == 0
    assert found["simple_cnn"].status == "partial"
    assert found["simple_cnn"].parameters == SMALL["simple_cnn"]


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Proofs:
    missing = framework_status(("torch", "tensorflow", "keras"))
    if missing:
        pytest.skip(missing)
    models = ("honest", *BLAMED)
    scratch = tmp_path_factory.mktemp("wrong")
    return _verified(scratch, "--models-dir", str(WRONG), "--models", ",".join(models))


def test_the_control_is_proven(wrong: Proofs) -> None:
    """Else a refusal below would prove nothing."""
    proof = wrong[1]["honest"]
    assert (proof.status, proof.reason) == ("proven", None)
    assert max(proof.max_rel_error.values()) <= 1e-9


def test_a_wrong_twin_among_right_ones_decides_the_exit_code(wrong: Proofs) -> None:
    assert wrong[0] == 4


@pytest.mark.parametrize("model", BLAMED)
def test_a_wrong_twin_is_refused_and_its_first_wrong_layer_named(wrong: Proofs, model: str) -> None:
    proof = wrong[1][model]
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


def test_wrong_training_alone_leaves_forward_and_backward_proven(wrong: Proofs) -> None:
    errors = wrong[1]["bn_momentum"].max_rel_error
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


_PROVE = """
import json, sys
from benchmarks.worker import Worker
order = json.loads(sys.argv[1])
if order["adapter"] == "torch":
    from benchmarks.adapters.torch import Torch
    Torch._match_epsilon = staticmethod(lambda optimizer, chosen: None)
print(json.dumps(Worker().prove(**order)))
"""


@pytest.fixture
def proof_without_matched_epsilon(tmp_path: Path) -> Callable[[str], Parity]:
    """The proof of a model, were PyTorch's Adam left with an epsilon of its own."""

    def prove(model: str) -> Parity:
        spec = registry.spec(model, WRONG)
        job = {
            "model": model,
            "models_dir": str(WRONG),
            "input_shape": spec.input_shape,
            "batch": spec.proof_batch,
            "deterministic": True,
            "data": None,
            "data_dir": None,
            "train_samples": None,
            "test_samples": None,
        }
        asked: dict[str, Any] = {}
        for name in ("torch", "tensorflow"):
            adapter = registry.adapter(name)
            settings = asdict(Settings(mode=adapter.proof_mode, precision="float64"))
            order = {"adapter": name, "settings": settings, "job": job, "reference": None}
            asked[name] = subprocess.Popen(
                [sys.executable, "-c", _PROVE, json.dumps(order | {"path": _npz(name)})],
                cwd=ROOT,
                env=dict(os.environ) | dict(adapter.env) | {"PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        facts = {}
        for name, process in asked.items():
            out, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors[-3000:]
            facts[name] = json.loads(out.splitlines()[-1])
        return parity.compare(spec, {name: Path(_npz(name)) for name in asked}, facts)

    def _npz(name: str) -> str:
        return str(tmp_path / f"{name}.npz")

    return prove


def test_an_unmatched_epsilon_of_adam_is_found(
    proof_without_matched_epsilon: Callable[[str], Parity],
) -> None:
    """The two frameworks add epsilon at different places: unmatched, 'Adam' is two optimizers."""
    proof = proof_without_matched_epsilon("honest")
    assert proof.status == "failed"
    errors = proof.max_rel_error
    assert errors["after_steps_adam"] > 1e-9
    assert max(errors[q] for q in ("output", "loss", "gradients", "after_steps_sgd")) <= 1e-9
    assert proof.first_difference is not None
    assert proof.first_difference.quantity == "value after 3 steps of adam"
    assert "after_steps_adam" in (proof.reason or "")
