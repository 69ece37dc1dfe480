"""Models that are trained by several losses in turn."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.frameworks import facts
from benchmarks.machine.environment import framework_status
from benchmarks.proof import group
from benchmarks.proof.sides import Sides
from benchmarks.request import plan
from benchmarks.request.selection import Selection
from benchmarks.results.records import Parity, Stack
from benchmarks.results.stored.codec import from_json
from benchmarks.tasks.optimizers import Own
from benchmarks.tasks.task import LossPart, Objective, Task, TaskError, check, constant, draw, noise
from tests.objectives.tiny_gan import TASK

ROOT = Path(__file__).parent.parent
FOLDER = Path(__file__).parent / "objectives"
BOTH = ("torch-eager", "tensorflow-graph")
PART = LossPart("binary_cross_entropy", "output", "ones")
OWN_LOSSES = {
    "torch": '''

from torch.nn import functional as F


def discriminator_loss(outputs, targets):
    """Real samples are to be told from generated ones."""
    return {
        "real": F.binary_cross_entropy_with_logits(outputs["real"], targets["ones"]),
        "fake": F.binary_cross_entropy_with_logits(outputs["fake"], targets["zeros"]),
    }


def generator_loss(outputs, targets):
    """Generated samples are to be taken for real ones."""
    return {"fooled": F.binary_cross_entropy_with_logits(outputs["fake"], targets["ones"])}
''',
    "keras": '''

from keras import ops


def _cross_entropy(logits, target):
    return ops.mean(ops.binary_crossentropy(target, logits, from_logits=True))


def discriminator_loss(outputs, targets):
    """Real samples are to be told from generated ones."""
    return {
        "real": _cross_entropy(outputs["real"], targets["ones"]),
        "fake": _cross_entropy(outputs["fake"], targets["zeros"]),
    }


def generator_loss(outputs, targets):
    """Generated samples are to be taken for real ones."""
    return {"fooled": _cross_entropy(outputs["fake"], targets["ones"])}
''',
}


def _task(*objectives: Objective, **more: Any) -> Task:
    return Task(
        inputs={"noise": noise(3)},
        targets={"ones": constant(1.0, 1)},
        objectives=objectives,
        **more,
    )


def test_a_step_of_a_task_is_its_objectives_or_its_only_loss() -> None:
    assert [one.name for one in TASK.steps] == ["discriminator", "generator"]
    only = Task(inputs={"noise": noise(3)}, targets={"ones": constant(1.0, 1)}, loss=(PART,))
    (step,) = only.steps
    assert (step.name, step.loss, step.optimizer) == ("", only.loss, only.optimizer)
    assert step.moves("any.kernel")


def test_an_objective_moves_what_lies_below_its_paths() -> None:
    one = Objective(name="a", trains=("generator", "body.0"), loss=(PART,))
    assert one.moves("generator.0.kernel")
    assert one.moves("generator/dense.kernel")
    assert one.moves("body.0.bias")
    assert not one.moves("body.01.bias")
    assert not one.moves("discriminator.0.kernel")
    assert not one.moves("")


def test_a_constant_target_is_drawn_as_it_is() -> None:
    drawn = draw(_task(Objective(name="a", loss=(PART,))), 4, 0).targets["ones"]
    assert drawn.shape == (4, 1)
    assert (drawn == 1.0).all()


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (_task(Objective(name="a", loss=(PART,)), loss=(PART,)), "a loss or objectives, not both"),
        (_task(*[Objective(name="a", loss=(PART,))] * 2), "a name of its own"),
        (_task(Objective(name="", loss=(PART,))), "a name of its own"),
        (_task(Objective(name="a")), r"define a_loss\(\)"),
        (_task(Objective(name="a", loss=(PART,), optimizer=Own())), "one of the task's"),
        (_task(Objective(name="a", loss=(PART,), inputs=("x",))), "no input 'x'; there are: noise"),
        (
            _task(Objective(name="a", loss=(dataclasses.replace(PART, target="zeros"),))),
            r"no target 'zeros' \(there: ones\)",
        ),
    ],
)
def test_objectives_that_cannot_be_are_refused_in_one_line(task: Task, said: str) -> None:
    with pytest.raises(TaskError, match=said):
        check(task)


def _copy(scratch: Path, name: str, **changes: tuple[str, str]) -> Path:
    """A model of that name: the shipped one, with one text put for another in some files."""
    model = scratch / "models" / name
    shutil.copytree(FOLDER / "tiny_gan", model, ignore=shutil.ignore_patterns("__pycache__"))
    for dialect, (old, new) in changes.items():
        path = model / f"{dialect}.py"
        code = path.read_text()
        assert code.count(old) == 1
        path.write_text(code.replace(old, new))
    return model


def _own_losses(model: Path, losses: Mapping[str, str]) -> None:
    """Have a copied model take losses of its own, each dialect these."""
    path = model / "__init__.py"
    before, loss = path.read_text().split("objectives=(")[0], "loss=None,\n"
    path.write_text(
        before
        + f"""objectives=(
        Objective(name="discriminator", trains=("discriminator",), {loss}),
        Objective(name="generator", trains=("generator",), {loss} inputs=("noise",)),
    ),
)
"""
    )
    for dialect, code in losses.items():
        path = model / f"{dialect}.py"
        path.write_text(path.read_text() + code)


def _need(*names: str) -> None:
    needed = {package for name in names for package in facts(name).packages}
    if missing := framework_status(tuple(needed)):
        pytest.skip(missing)


@pytest.fixture(scope="module")
def both() -> Iterator[Sides]:
    """The workers that prove one model after the other."""
    _need("torch", "tensorflow")
    with group.opened(tuple(map(Stack.parse, BOTH)), Selection()) as found:
        yield found


def _proven(model: Path, both: Sides) -> Parity:
    made = plan.make(
        Selection(
            models=(model.name,), models_dir=model.parent, stacks=BOTH, phases=("train_step",)
        )
    )
    return group.proven(made.groups[0], made.selection, both).parity


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stacks", "own"),
    [
        (BOTH, True),
        (("torch-eager", "jax-xla"), False),
        pytest.param(("torch-compile", "tensorflow-xla"), False, marks=pytest.mark.heavy),
        pytest.param(
            ("torch-eager", "keras_torch-eager", "keras_torch-compile"),
            False,
            marks=pytest.mark.heavy,
        ),
    ],
)
def test_both_objectives_are_proven_and_checked_as_they_are_timed(
    tmp_path: Path, stacks: tuple[str, ...], own: bool
) -> None:
    _need(*(Stack.parse(stack).framework for stack in stacks))
    model = _copy(tmp_path, "gan")
    if own:
        _own_losses(model, OWN_LOSSES)
    place = ("--models-dir", str(model.parent), "--out", str(tmp_path))
    words = ("--models", "gan", "--stacks", ",".join(stacks), *place)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "verify", "--json", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    proof = from_json(Parity, json.loads(done.stdout)[0]["parity"])
    assert proof.status == "proven"
    assert {"after_steps_task", "gradients", "input_gradients"} <= set(proof.max_rel_error)
    for stack in stacks:
        checks = {c.quantity: c for c in proof.timed if c.stack == stack}
        assert set(checks) == {"output", "loss", "update"}
        assert all(check.ok for check in checks.values()), checks


@pytest.mark.slow
def test_an_objective_that_is_another_on_one_side_is_named(tmp_path: Path, both: Sides) -> None:
    model = _copy(tmp_path, "gan_halved")
    wrong = OWN_LOSSES["keras"].replace('{"fooled": _cross', '{"fooled": 0.5 * _cross')
    assert wrong != OWN_LOSSES["keras"]
    _own_losses(model, OWN_LOSSES | {"keras": wrong})
    proof = _proven(model, both)
    assert proof.status == "failed"
    assert "generator.fooled" in (proof.reason or "")


@pytest.mark.slow
def test_an_objective_whose_gradient_is_cut_on_one_side_is_no_twin(
    tmp_path: Path, both: Sides
) -> None:
    cut = (
        "self.discriminator(self.generator(noise))}",
        "self.discriminator(self.generator(noise).detach())}",
    )
    proof = _proven(_copy(tmp_path, "gan_cut", torch=cut), both)
    assert proof.status == "failed"
    assert any("PyTorch" in cause.cause and "gradient" in cause.cause for cause in proof.diagnosis)
