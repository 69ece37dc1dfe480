"""The faults of ``test_faults`` once more, in PyTorch and TensorFlow as they are installed here.

Wrong numbers (row 16) are ``test_twins``'. What a GPU alone can do is not tried: memory runs out by
a limit on the process, and an error that sticks to a device is raised by hand.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from benchmarks.machine.environment import framework_status
from benchmarks.results.records import Exit
from benchmarks.results.stored import journal
from tests.pipeline import Outcome, Pipeline, alive, until
from tests.striking import VARIABLE
from tests.test_faults import _complete_without_duplicates

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        bool(framework_status(("torch",)) or framework_status(("tensorflow", "keras"))),
        reason="needs PyTorch and TensorFlow",
    ),
]
STACKS = {"torch": "torch-eager", "tensorflow": "tensorflow-eager"}
TIMEOUT_S = 60
TORCH = """
import torch
from benchmarks.models.mlp.torch import build as plain
from tests.striking import strike

def build(task):
    model = plain(task)
    model.register_forward_pre_hook(lambda *_: strike("torch", torch.ones))
    return model
"""
KERAS = """
import keras
import tensorflow as tf
from benchmarks.models.mlp.keras import build as plain
from tests.striking import strike

class Strike(keras.layers.Layer):
    def call(self, x):
        if tf.executing_eagerly():
            strike("tensorflow", lambda count: tf.ones((count,)))
        return x

def build(task):
    inputs = keras.Input(task.inputs["features"].shape)
    return keras.Model(inputs, plain(task)(Strike(name="strike")(inputs)))
"""


@pytest.fixture
def words(tmp_path: Path) -> tuple[str, ...]:
    """What asks for a model that fails on request, in both frameworks."""
    folder = tmp_path / "models" / "struck"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from benchmarks.models.mlp import TASK as TASK\n")
    (folder / "torch.py").write_text(TORCH)
    (folder / "keras.py").write_text(KERAS)
    return (
        *("--models-dir", str(folder.parent), "--models", "struck", "--phases", "forward"),
        *("--stacks", ",".join(STACKS.values()), "--timeout", str(TIMEOUT_S)),
    )


def _struck(pipeline: Pipeline, words: tuple[str, ...], framework: str, fault: str) -> Outcome:
    with pipeline.monkeypatch.context() as patch:
        patch.setenv(VARIABLE, f"{framework}:{fault}")
        return pipeline.call(*words, "--effort", "release")


@pytest.mark.parametrize("framework", STACKS)
@pytest.mark.parametrize(
    ("fault", "status", "why"),
    [
        ("segv", "crash", "the worker died of SIGSEGV during 'check'"),
        ("hang", "timeout", f"'check' took longer than {TIMEOUT_S} s"),
        ("hang_native", "timeout", f"'check' took longer than {TIMEOUT_S} s"),
        ("memory", "oom_host", ""),
        ("error", "error", "RuntimeError"),
    ],
)
def test_a_fault_in_a_framework_costs_its_case_and_spares_the_other(
    pipeline: Pipeline, words: tuple[str, ...], framework: str, fault: str, status: str, why: str
) -> None:
    done = _struck(pipeline, words, framework, fault)
    assert done.code == Exit.INCOMPLETE
    for name, stack in STACKS.items():
        case = done.case("forward", stack)
        if name != framework:
            assert (case.status, len(case.launches)) == ("ok", 1), case
            continue
        assert case.status == status, case
        assert why in (case.reason or "")
        assert case.failure is not None
        assert status == "oom_host" or "strik" in case.failure.stack
        if status == "oom_host":
            assert (case.failure.peak_rss_bytes or 0) > 50 << 20
    result = done.matchup("forward")
    assert result.parity is not None
    assert result.parity.status == "proven"
    (verdict,) = result.verdicts
    assert verdict.verdict == "not comparable"
    assert pipeline.survivors() == []


@pytest.mark.parametrize("twice", [False, True])
def test_a_run_of_real_frameworks_that_is_interrupted_goes_on_where_it_was(
    pipeline: Pipeline, words: tuple[str, ...], twice: bool
) -> None:
    parent = pipeline.start(*words, "--effort", "standard")
    until(lambda: pipeline.launches_done() >= 1)
    workers = psutil.Process(parent.pid).children(recursive=True)
    os.killpg(parent.pid, signal.SIGINT)

    def ended() -> bool:
        if twice and parent.poll() is None:
            parent.send_signal(signal.SIGINT)
        return parent.poll() is not None

    until(ended)
    assert parent.returncode == Exit.INTERRUPTED
    until(lambda: not any(map(alive, workers)))
    (log,) = pipeline.journals()
    assert journal.read(log)[1] == 0
    _complete_without_duplicates(pipeline.call("--resume", *words[:2]))
