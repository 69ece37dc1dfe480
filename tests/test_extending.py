"""A user's own model, kind of layer, loss and trainers, in a folder of theirs: files are enough."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.machine.environment import framework_status
from benchmarks.request import discovery, plan
from benchmarks.request.selection import Selection
from benchmarks.results.records import Parity
from benchmarks.results.stored.codec import from_json
from benchmarks.tasks import losses
from benchmarks.tasks.layers import kinds

ROOT = Path(__file__).parent.parent
TASK = """
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, features

TASK = Task(
    title="A mix",
    inputs={"features": features(12)},
    targets={"label": classes(4)},
    loss=(LossPart("brier", "output", "label", options={"factor": 2.0}),),
    optimizer=SGD(0.1, momentum=0.9),
    published=Published(parameters=12 * 8 + 8 + 8 * 4 + 4),
    sizes={"quick": Size(batch=16), "standard": Size(batch=32)},
)
"""
TORCH = '''
import torch


class Mix(torch.nn.Module):
    """A bent mixture of features, its matrix stored output by input."""

    def __init__(self, inputs, units):
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.randn(units, inputs))
        self.shift = torch.nn.Parameter(torch.zeros(units))

    def forward(self, x):
        return torch.tanh(x @ self.matrix.T + self.shift)


class Model(torch.nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        self.mix = Mix(inputs, 8)
        self.head = torch.nn.Linear(8, classes)

    def forward(self, x):
        return self.head(self.mix(x))


def build(task):
    return Model(task.inputs["features"].shape[0], task.targets["label"].count)
'''
KERAS = '''
import keras
from keras import ops


class Mix(keras.layers.Layer):
    """The same, its matrix stored input by output."""

    def __init__(self, units, **more):
        super().__init__(**more)
        self.units = units

    def build(self, shape):
        self.blend = self.add_weight(shape=(shape[-1], self.units), name="blend")
        self.offset = self.add_weight(shape=(self.units,), initializer="zeros", name="offset")

    def call(self, x):
        return ops.tanh(ops.matmul(x, self.blend) + self.offset)


def build(task):
    x = inputs = keras.Input(task.inputs["features"].shape)
    x = Mix(8, name="mix")(x)
    return keras.Model(inputs, keras.layers.Dense(task.targets["label"].count, name="head")(x))
'''
KIND = """
import numpy as np

from benchmarks.tasks.layers import Kind, Part, Slot


def parts(matrix, shift, turn):
    return (Part(slots=(Slot("kernel", matrix, turn=turn, back=turn), Slot("bias", shift))),)


KIND = Kind(
    name="Mix",
    torch=("Mix",),
    keras=("Mix",),
    torch_parts=lambda layer: parts("matrix", "shift", np.transpose),
    keras_parts=lambda layer: parts("blend", "offset", lambda held: held),
    macs=lambda shapes, constants, given, output: int(np.prod(shapes["kernel"])),
    reference=lambda weights, x, constants: np.tanh(x @ weights["kernel"] + weights["bias"]),
)
"""
LOSS = '''
"""The squared distance of the softmax from the class that is right, times a factor."""

import numpy as np

SUITS = ("classes",)


def reference(output, target, *, factor=1.0):
    raised = np.exp(output - output.max(-1, keepdims=True))
    shares = raised / raised.sum(-1, keepdims=True)
    return float(factor * ((shares - np.eye(output.shape[-1])[target]) ** 2).sum(-1).mean())


def torch(output, target, *, factor=1.0):
    from torch.nn import functional

    wanted = functional.one_hot(target.long(), output.shape[-1]).to(output.dtype)
    return factor * ((output.softmax(-1) - wanted) ** 2).sum(-1).mean()


def keras(output, target, *, factor=1.0):
    from keras import ops

    wanted = ops.one_hot(target, output.shape[-1], dtype=output.dtype)
    return factor * ops.mean(ops.sum((ops.softmax(output, axis=-1) - wanted) ** 2, axis=-1))
'''
TRAINER = '''
"""A loop over what every program offers, whatever the framework."""

import numpy as np

from benchmarks.frameworks.contracts import Epoch


def fit(device, program, samples):
    learning = device.batches(*samples.train, size=samples.size, scale=samples.scale)
    keeping = device.batches(*samples.test, size=samples.size, scale=samples.scale)

    def run():
        program.set_training(training=True)
        lost = [program.outputs(program.{verb}(batch))["output"] for batch in learning]
        program.set_training(training=False)
        found = [program.outputs(program.infer(batch))["output"] for batch in keeping]
        right = float((np.concatenate(found).argmax(-1) == samples.test[1]).mean())
        return float(np.mean(lost)), right, 0.0, right

    return Epoch(run=run)
'''
"""``step`` trains; ``loss`` alone forgets to."""
STACKS = ("torch-eager", "tensorflow-graph")


def _write(path: Path, code: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code.lstrip())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a user has it, with one model and all that is their own."""
    mine = tmp_path_factory.mktemp("own") / "models"
    _write(mine / "mixer" / "__init__.py", TASK)
    _write(mine / "mixer" / "torch.py", TORCH)
    _write(mine / "mixer" / "keras.py", KERAS)
    _write(mine / "layers" / "mix.py", KIND)
    _write(mine / "losses" / "brier.py", LOSS)
    for framework in ("torch", "tensorflow"):
        _write(mine / "trainers" / framework / "own.py", TRAINER.format(verb="step"))
        _write(mine / "trainers" / framework / "lazy.py", TRAINER.format(verb="loss"))
    return mine


@pytest.fixture(scope="module")
def verified(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Parity]:
    """The exit code of a verification with both trainers on both sides, and what it found."""
    missing = framework_status(("torch", "tensorflow", "keras"))
    if missing:
        pytest.skip(missing)
    scratch = tmp_path_factory.mktemp("verified")
    stacks = ",".join(f"{stack}+{trainer}" for stack in STACKS for trainer in ("own", "lazy"))
    words = ("--models-dir", str(folder), "--models", "mixer", "--stacks", stacks)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "verify", "--json", *words, "--out", str(scratch)],
        cwd=ROOT,
        env=dict(os.environ) | {"TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, from_json(Parity, json.loads(done.stdout)[0]["parity"])


def test_all_that_is_a_users_own_is_found_by_its_file_and_planned(folder: Path) -> None:
    roots = discovery.roots("mixer", folder)
    assert kinds(roots)[0].name == "Mix"
    assert "brier" in losses.names(roots)
    loss = losses.load("brier", roots)
    assert loss.reference(np.zeros((3, 2)), np.zeros(3, int)) == pytest.approx(0.5)
    for framework in ("torch", "tensorflow"):
        assert {"lazy", "own"} < set(discovery.trainers(framework, folder))
    made = plan.make(Selection(models=("mixer",), models_dir=folder, stacks=(f"{STACKS[0]}+own",)))
    (group,) = made.groups
    assert [str(stack) for stack in group.stacks] == ["torch-eager+own"]
    assert group.stacks[0].trainer == "own"
    with pytest.raises(discovery.UnknownNameError, match=r"trainer of torch-eager 'nope'.*own"):
        plan.make(Selection(models=("mixer",), models_dir=folder, stacks=("torch-eager+nope",)))


@pytest.mark.slow
def test_a_users_own_model_layer_loss_and_trainer_are_proven(verified: tuple[int, Parity]) -> None:
    _, proof = verified
    assert (proof.status, proof.reason) == ("proven", None)
    assert proof.adapters == ("torch", "tensorflow")
    assert proof.largest_error <= 1e-9
    assert proof.match == "2 of 2 layers by path"
    assert [(one.name, one.kind, one.macs) for one in proof.layers] == [
        ("mix", "Mix", 96),
        ("head", "Dense", 32),
    ]
    assert (proof.parameters, proof.forward_flops) == (140, 2.0 * (96 + 32))
    for stack in STACKS:
        checks = [check for check in proof.timed if check.stack == f"{stack}+own"]
        # Loss and update twice: of a step, and of an epoch that the trainer drives.
        assert Counter(c.quantity for c in checks) == {"output": 1, "loss": 2, "update": 2}
        assert all(check.ok for check in checks), checks


@pytest.mark.slow
def test_a_trainer_that_forgets_the_update_is_refused(verified: tuple[int, Parity]) -> None:
    code, proof = verified
    assert code == 4
    assert proof.status == "proven"
    for stack in STACKS:
        (wrong,) = (c for c in proof.timed if c.stack == f"{stack}+lazy" and not c.ok)
        assert wrong.quantity == "update"
        assert wrong.error == pytest.approx(1.0)
