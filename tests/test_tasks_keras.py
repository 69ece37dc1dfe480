"""Layers, losses and optimizers in Keras on TensorFlow, in one process: it takes seconds to start.

``python -m tests.test_tasks_keras`` checks all three against their references, and writes a JSON
object to stdout: by the name of each check, how many cases held, or the traceback of the one that
did not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import frameworks
from benchmarks.machine.environment import framework_status
from tests.test_tasks_layers import KERAS, require_keras
from tests.test_tasks_losses import COMPILED, cases, compiles, slope
from tests.test_tasks_losses import require_close as close_loss
from tests.test_tasks_optimizers import asked, drawn
from tests.test_tasks_optimizers import require_close as close_step

ROOT = Path(__file__).parent.parent
ENGINE = "tensorflow"
LIMIT_S = 300.0


@cache
def _found() -> dict[str, int | str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.test_tasks_keras"],
        cwd=ROOT,
        env={**os.environ, **frameworks.facts(ENGINE).env, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, int | str] = json.loads(done.stdout.splitlines()[-1])
    return found


def _held(name: str) -> int:
    """How many cases of a check hold; all, or the test fails."""
    if missing := framework_status(frameworks.facts(ENGINE).packages):
        pytest.skip(missing)
    count = _found()[name]
    assert isinstance(count, int), count
    return count


def layers() -> int:
    """Every kind of layer computes its reference."""
    import keras

    for case in KERAS:
        try:
            require_keras(keras, *case)
        except Exception as error:
            error.add_note(str(case))
            raise
    return len(KERAS)


def losses() -> int:
    """Every loss has the value and the slope of its reference, in float64."""
    import keras
    import tensorflow as tf

    from benchmarks.tasks.losses import load

    for case in cases():
        loss = load(case.name)
        target, output = (keras.ops.convert_to_tensor(a) for a in (case.target, case.output))
        with tf.GradientTape() as tape:
            tape.watch(output)
            value = loss.keras(output, target, **case.options)
        close_loss(tape.gradient(value, output).numpy(), slope(case), case)
        assert tuple(value.shape) == ()
        assert value.dtype == tf.float64
        close_loss(value.numpy(), loss.reference(case.output, case.target, **case.options), case)
    shapes = [tf.TensorSpec((None,), "float64"), tf.TensorSpec((None, 1), "float64")]
    traced = tf.function(load("mse").keras, input_signature=shapes)
    assert abs(float(traced(tf.zeros(3, "float64"), tf.ones((3, 1), "float64"))) - 1) < 1e-12
    shapes = [tf.TensorSpec((None, 4, 3), "float64"), tf.TensorSpec((None, 4), "int64")]
    traced = tf.function(load("cross_entropy").keras, input_signature=shapes)
    value = float(traced(tf.zeros((2, 4, 3), "float64"), tf.zeros((2, 4), "int64")))
    assert abs(value - np.log(3)) < 1e-12
    return len(cases())


def compiled_losses() -> int:
    """The losses that Keras has itself, as ``compile`` takes them, have our value."""
    import keras

    from benchmarks.tasks.losses import load

    known = [case for case in cases() if compiles(case)]
    for case in known:
        loss = load(case.name)
        given = loss.keras_loss(**case.options)
        assert isinstance(given, keras.losses.Loss)
        target, output = (keras.ops.convert_to_tensor(a) for a in (case.target, case.output))
        ours = keras.ops.convert_to_numpy(loss.keras(output, target, **case.options))
        close_loss(keras.ops.convert_to_numpy(given(target, output)), ours, case)
    return len(known)


def optimizers() -> int:
    """Every optimizer moves weights as its reference does."""
    import keras

    from benchmarks.frameworks._keras.optimizers import make

    for one in asked():
        weights, gradients = drawn()
        optimizer = make(one)
        variables = [keras.Variable(value, name=name) for name, value in weights.items()]
        for given in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(g) for g in given.values()], variables)
        moved = [keras.ops.convert_to_numpy(variable) for variable in variables]
        close_step(dict(zip(weights, moved, strict=True)), one)
    return len(asked())


@pytest.mark.slow
def test_every_kind_of_layer_computes_its_reference() -> None:
    assert _held("layers") == len(KERAS)


@pytest.mark.slow
def test_every_loss_computes_its_reference() -> None:
    assert _held("losses") == len(cases())
    known = [case for case in cases() if compiles(case)]
    assert {case.name for case in known} == COMPILED
    assert _held("compiled_losses") == len(known)


@pytest.mark.slow
def test_every_optimizer_computes_its_reference() -> None:
    assert _held("optimizers") == len(asked())


def main() -> None:
    """Make every check."""
    import keras

    keras.config.set_floatx("float64")
    found: dict[str, Any] = {}
    for check in (layers, losses, compiled_losses, optimizers):
        try:
            found[check.__name__] = check()
        except Exception:
            found[check.__name__] = traceback.format_exc()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
