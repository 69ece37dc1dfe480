"""Models that are trained by several losses in turn."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.machine.environment import framework_status
from benchmarks.results.codec import from_json
from benchmarks.results.records import Parity
from benchmarks.tasks.optimizers import Own
from benchmarks.tasks.task import LossPart, Objective, Task, TaskError, check, constant, draw, noise
from tests.objectives.tiny_gan import TASK

ROOT = Path(__file__).parent.parent
FOLDER = Path(__file__).parent / "objectives"
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


def _copy(scratch: Path, **changes: tuple[str, str]) -> Path:
    """The folder of models, with one text put for another in some files."""
    folder = scratch / "models"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (old, new) in changes.items():
        path = folder / "tiny_gan" / f"{name}.py"
        code = path.read_text()
        assert code.count(old) == 1
        path.write_text(code.replace(old, new))
    return folder


def _verified(folder: Path, scratch: Path, stacks: str) -> tuple[int, Parity, str]:
    packages = ["torch", "tensorflow", "keras"] + (["jax"] if "jax" in stacks else [])
    missing = framework_status(tuple(packages))
    if missing:
        pytest.skip(missing)
    words = ("--models-dir", str(folder), "--models", "tiny_gan", "--stacks", stacks)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "verify", "--json", *words, "--out", str(scratch)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)
    return done.returncode, from_json(Parity, rows[0]["parity"]), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "stacks",
    [
        "torch-eager,torch-compile,tensorflow-graph,tensorflow-xla",
        "torch-eager,jax-xla,keras_torch-eager",
        pytest.param("torch-eager,keras_torch-compile", marks=pytest.mark.heavy),
    ],
)
def test_both_objectives_are_proven_and_checked_as_they_are_timed(
    tmp_path: Path, stacks: str
) -> None:
    code, proof, said = _verified(FOLDER, tmp_path, stacks)
    assert code == 0, said
    assert proof.status == "proven"
    assert {"after_steps_task", "gradients", "input_gradients"} <= set(proof.max_rel_error)
    for stack in stacks.split(","):
        checks = {c.quantity: c for c in proof.timed if c.stack == stack}
        assert set(checks) == {"output", "loss", "update"}
        assert all(check.ok for check in checks.values()), checks


@pytest.mark.slow
@pytest.mark.parametrize("honest", [True, False])
def test_losses_of_the_twins_own_are_proven_part_by_part(tmp_path: Path, honest: bool) -> None:
    folder = _copy(tmp_path)
    task = (folder / "tiny_gan" / "__init__.py").read_text()
    before, loss = task.split("objectives=(")[0], "loss=None,\n"
    (folder / "tiny_gan" / "__init__.py").write_text(
        before
        + f"""objectives=(
        Objective(name="discriminator", trains=("discriminator",), {loss}),
        Objective(name="generator", trains=("generator",), {loss} inputs=("noise",)),
    ),
)
"""
    )
    for dialect, losses in OWN_LOSSES.items():
        wrong = dialect == "keras" and not honest
        path = folder / "tiny_gan" / f"{dialect}.py"
        planted = losses.replace('{"fooled": _cross', '{"fooled": 0.5 * _cross')
        assert (planted != losses) == (dialect == "keras")
        path.write_text(path.read_text() + (planted if wrong else losses))
    code, proof, said = _verified(folder, tmp_path, "torch-eager,tensorflow-graph")
    if honest:
        assert (code, proof.status) == (0, "proven"), said
        return
    assert (code, proof.status) == (4, "failed"), said
    assert proof.reason is not None
    assert "generator.fooled" in proof.reason


@pytest.mark.slow
def test_an_objective_whose_gradient_is_cut_on_one_side_is_no_twin(tmp_path: Path) -> None:
    cut = (
        "self.discriminator(self.generator(noise))}",
        "self.discriminator(self.generator(noise).detach())}",
    )
    folder = _copy(tmp_path, torch=cut)
    code, proof, said = _verified(folder, tmp_path, "torch-eager,tensorflow-graph")
    assert (code, proof.status) == (4, "failed"), said
    assert any("PyTorch" in cause.cause and "gradient" in cause.cause for cause in proof.diagnosis)
