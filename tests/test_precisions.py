"""Precisions below float32: what bounds them, that the bound has teeth, and that stacks keep it."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import frameworks
from benchmarks.frameworks.contracts import Placed, Settings
from benchmarks.machine.environment import framework_status
from benchmarks.proof import precision as bounds
from benchmarks.request import discovery, plan
from benchmarks.request.selection import Selection, SelectionError
from benchmarks.results.records import LayerWork, Parity, Stack
from benchmarks.results.stored.codec import from_json
from benchmarks.tasks import weights
from benchmarks.tasks.task import draw
from benchmarks.worker import checks, shortage
from benchmarks.worker.phases._protocol import Built
from benchmarks.worker.process import WorkerError, WorkerProcess

ROOT = Path(__file__).parent.parent
TASK = discovery.task("mlp")
WIDTHS = (784, 512, 256, 10)
LAYERS = tuple(
    LayerWork(
        name=f"dense{index}",
        kind="Dense",
        parameters=(inputs + 1) * units,
        trainable=True,
        macs=inputs * units,
        output=units,
        terms=inputs,
    )
    for index, (inputs, units) in enumerate(itertools.pairwise(WIDTHS), start=1)
)
"""The layers of the model, as a proof tells of them."""
EFFORTS = ("quick", "standard")
LOW = ("tf32", "bfloat16", "float16")
BITS = {"bfloat16": 8, "float16": 11, "tf32": 11}


def rounded(values: Any, bits: int) -> Any:
    """The numbers with so many significant bits."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2**bits), exponent - bits)


def checked(tmp_path: Path, precision: str, exact: Any, written: Any) -> bool:
    """Whether an output passes the check of a precision."""
    np.savez(tmp_path / "a.npz", allow_pickle=False, **{"output/output": exact})
    np.savez(tmp_path / "b.npz", allow_pickle=False, **{"output/output": written})
    (check,) = bounds.timed_checks(
        LAYERS,
        TASK,
        "torch-eager",
        precision=precision,
        batch=4,
        reference=tmp_path / "a.npz",
        written=tmp_path / "b.npz",
    )
    return check.ok


@pytest.mark.parametrize("precision", LOW)
def test_products_of_rounded_numbers_pass_their_own_bound_and_no_finer_one(
    tmp_path: Path, precision: str
) -> None:
    rng, bits = np.random.default_rng(1), BITS[precision]
    exact: Any = rng.standard_normal((64, 784))
    low = exact
    for width in WIDTHS[1:]:  # the layers of the model, no rounding but its own
        w = rng.standard_normal((exact.shape[1], width))
        exact = exact @ w
        low = rounded(rounded(low, bits) @ rounded(w, bits), bits)
    assert checked(tmp_path, precision, exact, low)
    assert not checked(tmp_path, "float32", exact, low)
    if precision == "bfloat16":
        assert not checked(tmp_path, "float16", exact, rounded(low, 4))


def test_a_mixed_bound_is_the_sum_of_its_parts() -> None:
    summed = bounds.rounding_bound(LAYERS, TASK, "float32", "output", 8)
    found = bounds.rounding_bound(LAYERS, TASK, "bfloat16", "output", 8)
    assert found == pytest.approx(summed + 8 * math.sqrt(3 * 3) * 2**-8)
    moved = bounds.rounding_bound(LAYERS, TASK, "bfloat16", "update", 8)
    lost = bounds.rounding_bound(LAYERS, TASK, "bfloat16", "loss", 8)
    assert moved == pytest.approx(lost + math.sqrt(2 * 2**-8))


KEYS = {
    "dense1.kernel": {
        "shape": (784, 512), "name": "kernel", "kind": "Dense", "start": (0.0, 0.1),
        "trainable": True, "buffer": False,
    }
}  # fmt: skip


@dataclass
class Overflowing:
    """A program whose loss scaling skips its first steps."""

    start: dict[str, Any]
    skips: int
    steps: int = 0
    resets: int = 0

    def reset(self) -> None:
        """Nothing that is looked at but how often."""
        self.resets += 1

    def set_training(self, *, training: bool) -> None:
        """Nothing to set."""

    def outputs(self, value: float) -> dict[str, Any]:
        """The value as an array."""
        return {"output": np.asarray(value)}

    def step(self, _batch: Placed) -> float:
        """A step, counted."""
        self.steps += 1
        return 2.0

    def export(self) -> dict[str, Any]:
        """The weights, moved once the skipping is over."""
        taken = max(0, self.steps - self.skips)
        return {name: values + taken for name, values in self.start.items()}


@pytest.mark.parametrize(
    ("skips", "scaled", "moved"), [(3, True, 1.0), (3, False, 0.0), (99, True, 0.0)]
)
def test_the_check_takes_the_first_step_that_loss_scaling_does_not_skip(
    tmp_path: Path, skips: int, *, scaled: bool, moved: float
) -> None:
    start = weights.generate(KEYS, 0)
    program = Overflowing(start, skips)
    session = Built(
        device=None,
        program=program,
        trainer=None,
        recorder="null",
        task=TASK,
        keys=KEYS,
        weights=start,
        fed=draw(TASK, 4, 0),
        batch=Placed((), ()),
        batch_size=4,
    )
    checks.write_check(session, tmp_path / "c.npz", "training", scaled=scaled)
    with np.load(tmp_path / "c.npz") as arrays:
        assert np.allclose(arrays["update/dense1.kernel"], moved)
        assert arrays["loss"] == 2.0
    assert program.resets == 2  # from the start, and left as it was


def test_tf32_is_refused_where_there_are_no_tensor_cores() -> None:
    with pytest.raises(SelectionError, match=r"^tf32 .* needs --device cuda$"):
        plan.make(Selection(precision="tf32"))
    assert plan.make(Selection(precision="tf32", device="cuda", models=("mlp",))).groups


def test_settings_say_what_is_stored_computed_and_allowed() -> None:
    told = {p: Settings(mode="eager", precision=p) for p in (*LOW, "float32", "float64")}
    assert {p: (s.storage, s.compute, s.mixed, s.tf32) for p, s in told.items()} == {
        "tf32": ("float32", "float32", False, True),
        "bfloat16": ("float32", "bfloat16", True, False),
        "float16": ("float32", "float16", True, False),
        "float32": ("float32", "float32", False, False),
        "float64": ("float64", "float64", False, False),
    }
    assert Settings(mode="eager", policy="defaults").tf32 is None
    assert Settings(mode="eager", policy="best").tf32 is True


@pytest.mark.slow
def test_a_layout_that_a_framework_does_not_compute_in_is_refused_and_not_ignored() -> None:
    if framework_status(frameworks.facts("tensorflow").packages):
        pytest.skip("tensorflow is not installed")
    worker = WorkerProcess(Stack.parse("tensorflow-graph"))
    asked = Settings(mode="graph", layout="channels_first")
    try:
        with pytest.raises(WorkerError, match="channels-last only on a CPU") as error:
            worker.ask(
                "ceiling", deadline_s=120, framework="tensorflow", settings=asdict(asked), size=8
            )
    finally:
        worker.quit()
    assert error.value.status == "unsupported"


def test_what_a_framework_cannot_do_is_unsupported_and_no_error() -> None:
    assert shortage.status(NotImplementedError("no float16 LSTM"), "cpu") == "unsupported"
    assert shortage.status(RuntimeError("no float16 LSTM"), "cpu") == "error"


@pytest.mark.slow
@pytest.mark.heavy
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_every_stack_keeps_the_bound_on_this_cpu(tmp_path: Path, precision: str) -> None:
    facts = {n: frameworks.facts(n) for n in ("torch", "tensorflow", "keras_torch", "jax")}
    able = [n for n, of in facts.items() if framework_status(of.packages) is None]
    if not able:
        pytest.skip("no framework is installed")
    stacks = [f"{name}-{next(iter(facts[name].modes))}" for name in able]
    words = f"verify --json --models mlp --precision {precision}".split()
    words += ["--stacks", ",".join(stacks), "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT,
        env=dict(os.environ) | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    parity = from_json(Parity, json.loads(done.stdout)[0]["parity"])
    assert parity.dtype == "float64"
    assert {check.stack for check in parity.timed} == set(stacks)
    assert all(check.ok and check.bound <= bounds.MOST for check in parity.timed)
