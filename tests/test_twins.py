"""The promise everything rests on: equal twins are proven equal, and unequal ones are refused.

Every shipped model goes through the real proof, and so do twins that are wrong in the ways in which
people get them wrong: the cause and the layer must be named, and they must never be timed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import pytest

from benchmarks.machine.environment import framework_status
from benchmarks.proof import group, sides
from benchmarks.request import discovery, plan
from benchmarks.request.selection import Selection
from benchmarks.results.records import Parity
from benchmarks.results.stored.codec import from_json
from benchmarks.tasks.optimizers import Adam
from tests.pipeline import Pipeline

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
WRONG = Path(__file__).parent / "wrong_twins"
QUANTITIES = {
    "output",
    "loss",
    "gradients",
    "after_steps_task",
    "after_steps_sgd",
    "after_steps",
}
PARAMETERS = {
    "mlp": 535_818,
    "simple_cnn": 11_290,
    "digits_cnn": 21_840,
    "lstm": 2_692_874,
    "resnet50": 25_557_032,
    "resnet50_transfer": 24_035_146,
}
VERIFIED = ("digits_cnn", "lstm")
"""Models that are also held against their proof as they are timed."""
PROVEN = [
    "mlp",
    "simple_cnn",
    *(pytest.param(n, marks=pytest.mark.heavy) for n in ("resnet50", "resnet50_transfer")),
]
MASKED = {"digits_cnn"}
"""Each framework draws masks of its own, so that as timed their inference alone is compared."""
RIGHT_NORM = "layers.BatchNormalization(epsilon=1e-05, momentum=0.9)"
BLAMED = {
    "bn_eps": (
        "bn",
        "BatchNorm epsilon differ",
        ("epsilon 1e-05", "epsilon 0.001"),
        f"nn.BatchNorm2d(…, eps=0.001, momentum=0.1), or {RIGHT_NORM}",
    ),
    "bn_momentum": (
        "bn",
        "BatchNorm momentum differ",
        ("momentum 0.9", "momentum 0.99"),
        f"nn.BatchNorm2d(…, eps=1e-05, momentum=0.01), or {RIGHT_NORM}",
    ),
    "asymmetric_padding": (
        "conv",
        "Conv: padding='same' pads one more at the end where the stride is 2",
        ("padding [[1, 1], [1, 1]]", "padding same"),
        'layers.ZeroPadding2D(1) before conv, and padding="valid" in it',
    ),
    "gelu_form": (
        "dense",
        "GELU: tanh against erf",
        ("GELU (tanh)", "GELU (erf)"),
        "keras.activations.gelu(x, approximate=True) behind bn",
    ),
    "swapped_gates": (
        "lstm",
        "the LSTM computes something else",
        ("gates", "as the kind is defined"),
        "input, forget, cell, output = gates.chunk(4, -1), the order of nn.LSTM and layers.LSTM",
    ),
}
"""Where each wrong twin is wrong, why, what each side says, and the line to write."""
ENGINES = ("torch", "tensorflow")
STACKS = ("torch-eager", "tensorflow-graph")
FOUR = (*STACKS, "jax-xla", "keras_torch-eager")


def _skip_without(*packages: str) -> None:
    missing = framework_status(packages)
    if missing:
        pytest.skip(missing)


@pytest.fixture(autouse=True)
def _both_frameworks() -> None:
    _skip_without("torch", "tensorflow", "keras")


def _call(*words: str, scratch: Path) -> subprocess.CompletedProcess[str]:
    """The command line, with locks and scratch files of its own."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT,
        env=dict(os.environ) | {"TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def _verified(scratch: Path, *words: str) -> tuple[int, dict[str, Parity], str]:
    """The exit code of a verification, by model what it found, and what it told a person."""
    done = _call("verify", "--json", *words, "--out", str(scratch), scratch=scratch)
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)
    found = {row["model"]: from_json(Parity, row["parity"]) for row in rows}
    return done.returncode, found, done.stderr


def _planned(model: str) -> plan.Plan:
    """A model of the tests or a shipped one, of the size that a verification proves."""
    chosen = Selection(models=(model,), models_dir=WRONG, stacks=STACKS, phases=("forward",))
    return plan.make(chosen)


@pytest.fixture(scope="module")
def direct() -> Iterator[Callable[[str], Parity]]:
    """Proves models, each once, by one process per framework, which saves starting them all."""
    _skip_without("torch", "tensorflow", "keras")
    # Not pytest's folder, which would keep these gigabytes for three runs.
    with (
        tempfile.TemporaryDirectory(prefix="twinbench-test-") as scratch,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(tempfile, "tempdir", scratch)
        first = _planned("honest")
        with group.opened(first.groups[0].stacks, first.selection) as every:
            yield cache(lambda model: _proven(_planned(model), every))


def _proven(made: plan.Plan, every: sides.Sides | None = None) -> Parity:
    (mine,) = made.groups
    with nullcontext(every) if every else group.opened(mine.stacks, made.selection) as workers:
        found = group.proven(mine, made.selection, workers)
        assert bool(found.references) == bool(found.handoffs) == (found.parity.status == "proven")
        return found.parity


def _assert_proven(model: str, proof: Parity) -> None:
    assert (proof.status, proof.reason, proof.diagnosis) == ("proven", None, ()), model
    assert proof.adapters == ENGINES
    inputs = discovery.task(model).inputs.values()
    floats = {"input_gradients"} if any(i.kind != "tokens" for i in inputs) else set()
    assert set(proof.max_rel_error) == QUANTITIES | floats
    assert proof.largest_error <= 1e-9, proof.max_rel_error
    assert proof.parameters == PARAMETERS[model] == sum(one.parameters for one in proof.layers)
    assert proof.forward_flops == sum(2 * (one.macs or 0) for one in proof.layers) > 0
    assert len(proof.weights_sha256 or "") == 64
    assert (proof.match or "").endswith("by path")
    assert not [f for f in proof.findings if f.name.startswith(("flops", "macs"))]


def test_models_are_proven_and_compute_the_same_as_timed_and_a_wrong_twin_fails(
    tmp_path: Path,
) -> None:
    """One verification of them all: what one model lacks costs no other."""
    words = ("--models", ",".join((*VERIFIED, "gelu_form")), "--models-dir", str(WRONG))
    code, found, said = _verified(tmp_path, *words, "--stacks", ",".join(STACKS))
    assert code == 4
    wrong = found.pop("gelu_form")
    assert (wrong.status, wrong.timed) == ("failed", ())
    where, cause, _, fix = BLAMED["gelu_form"]
    assert f"  {where}: {cause}\n" in said
    assert f"    write: {fix}\n" in said
    assert set(found) == set(VERIFIED)
    for model, proof in found.items():
        _assert_proven(model, proof)
        assert {check.stack for check in proof.timed} == set(STACKS)
        assert all(check.ok for check in proof.timed)
        quantities = {check.quantity for check in proof.timed}
        assert proof.random == (model in MASKED)
        assert quantities == ({"output"} if proof.random else {"output", "loss", "update"})
        assert any("masks" in note for note in proof.notes) == proof.random


@pytest.mark.parametrize("model", PROVEN)
def test_a_shipped_model_is_proven(direct: Callable[[str], Parity], model: str) -> None:
    _assert_proven(model, direct(model))


@pytest.mark.heavy
def test_several_engines_are_proven_at_once(tmp_path: Path) -> None:
    _skip_without("jax")
    code, found, _ = _verified(tmp_path, "--models", "mlp,lstm", "--stacks", ",".join(FOUR))
    assert code == 0
    assert found.keys() == {"mlp", "lstm"}
    for proof in found.values():
        assert (proof.status, proof.reason) == ("proven", None)
        assert proof.adapters == ("torch", "tensorflow", "jax", "keras_torch")
        assert proof.largest_error <= 1e-9
        assert {(check.stack, check.quantity) for check in proof.timed if check.ok} == {
            (stack, quantity) for stack in FOUR for quantity in ("output", "loss", "update")
        }


@pytest.mark.heavy
def test_keras_on_pytorch_is_proven_where_the_names_of_layers_have_dots(tmp_path: Path) -> None:
    """Its parameters take none; and what a frozen layer puts out has no gradient."""
    stacks = ("torch-eager", "keras_torch-eager")
    code, found, _ = _verified(
        tmp_path, "--models", "resnet50_transfer", "--stacks", ",".join(stacks)
    )
    assert code == 0
    proof = found["resnet50_transfer"]
    assert (proof.status, proof.adapters) == ("proven", ("torch", "keras_torch"))
    assert proof.largest_error <= 1e-9
    assert {check.stack for check in proof.timed if check.ok} == set(stacks)


def test_no_shipped_model_escapes_the_proof() -> None:
    assert set(discovery.names("models")) == PARAMETERS.keys()


def test_one_framework_alone_is_checked_against_what_is_published(tmp_path: Path) -> None:
    code, found, _ = _verified(tmp_path, "--models", "simple_cnn", "--stacks", "torch-eager")
    assert code == 0
    proof = found["simple_cnn"]
    assert proof.status == "partial"
    assert (proof.reason or "").startswith("only torch is here")
    assert proof.parameters == PARAMETERS["simple_cnn"]
    assert {check.quantity for check in proof.timed if check.ok} == {"output", "loss", "update"}


@pytest.mark.parametrize("model", ["honest", "honest_adam"])
def test_the_control_is_proven(direct: Callable[[str], Parity], model: str) -> None:
    """Else a refusal below would prove nothing."""
    proof = direct(model)
    assert (proof.status, proof.reason, proof.diagnosis) == ("proven", None, ())
    assert set(proof.max_rel_error) == QUANTITIES | {"input_gradients"}
    assert proof.largest_error <= 1e-9


def test_no_wrong_twin_is_forgotten() -> None:
    there = {path.parent.name for path in WRONG.glob("[!_]*/__init__.py")}
    assert there == BLAMED.keys() | {"honest", "honest_adam"}


@pytest.mark.parametrize("model", BLAMED)
def test_a_wrong_twin_is_refused_and_its_cause_and_layer_named(
    direct: Callable[[str], Parity], model: str
) -> None:
    proof = direct(model)
    where, cause, told, fix = BLAMED[model]
    assert proof.status == "failed"
    assert proof.largest_error > 1e-6
    (found,) = proof.diagnosis
    assert found.where == where
    assert cause in found.cause
    assert told[0] in found.torch
    assert told[1] in found.keras
    assert found.torch != found.keras
    assert found.fix == fix
    assert proof.reason == f"{found.where}: {found.cause}"


def test_wrong_training_alone_leaves_forward_and_backward_proven(
    direct: Callable[[str], Parity],
) -> None:
    errors = {q: e or 0.0 for q, e in direct("bn_momentum").max_rel_error.items()}
    assert max(errors[q] for q in ("output", "loss", "gradients", "input_gradients")) <= 1e-9
    assert min(errors[q] for q in ("after_steps_sgd", "after_steps_task")) > 0.01


def test_a_wrong_twin_is_reported_and_never_timed(pipeline: Pipeline) -> None:
    words = ("--models", "bn_eps", "--models-dir", str(WRONG), "--stacks", ",".join(STACKS))
    done = pipeline.call("--phases", "forward", *words)
    assert (done.code, done.run.exit) == (4, 4)
    (result,) = done.run.matchups
    assert result.parity is not None
    assert result.parity.status == "failed"
    assert result.parity.diagnosis[0].where == "bn"
    assert [case.stack for case in result.cases] == list(STACKS)
    for case in result.cases:
        assert case.status == "parity_failed"
        assert "bn: BatchNorm epsilon differ" in (case.reason or "")
        assert case.launches == ()
        assert case.median_s is None
    (verdict,) = result.verdicts
    assert (verdict.verdict, verdict.ratio) == ("not comparable", None)


def test_an_unmatched_epsilon_of_adam_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two frameworks add epsilon at different places: unmatched, 'Adam' is two optimizers."""
    monkeypatch.setattr(sides, "WORKER", "tests.wrong_twins.unmatched")
    made = _planned("honest_adam")
    assert isinstance(made.groups[0].task.optimizer, Adam)
    proof = _proven(made)
    assert proof.status == "failed"
    errors = {q: e or 0.0 for q, e in proof.max_rel_error.items()}
    assert errors["after_steps_task"] > 1e-9
    assert max(errors[q] for q in ("output", "loss", "gradients", "after_steps_sgd")) <= 1e-9
    assert "after_steps_task" in (proof.reason or "")
    assert proof.diagnosis[0].where.startswith("after/task/")
