"""Precisions below float32: what bounds them, that the bound has teeth, and that stacks keep it."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import memory, plan, registry, rounding, weights
from benchmarks.adapters._protocol import Settings
from benchmarks.environment import framework_status
from benchmarks.phases._protocol import Session
from benchmarks.plan import Selection, SelectionError
from benchmarks.process import WorkerError, WorkerProcess
from benchmarks.records import Parity, Stack, from_json

ROOT = Path(__file__).parent.parent
SPEC = registry.spec("mlp")
LOW = ("tf32", "bfloat16", "float16")
BITS = {"bfloat16": 8, "float16": 11, "tf32": 11}


def rounded(values: Any, bits: int) -> Any:
    """The numbers with so many significant bits."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2**bits), exponent - bits)


def checked(tmp_path: Path, precision: str, exact: Any, written: Any) -> bool:
    """Whether an output passes the check of a precision."""
    np.savez(tmp_path / "a.npz", allow_pickle=False, output=exact)
    np.savez(tmp_path / "b.npz", allow_pickle=False, output=written)
    (check,) = rounding.timed_checks(
        SPEC,
        "torch-eager",
        precision=precision,
        batch=4,
        seed=0,
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
    for width in (512, 256, 10):  # the layers of the model, no rounding but its own
        w = rng.standard_normal((exact.shape[1], width))
        exact = exact @ w
        low = rounded(rounded(low, bits) @ rounded(w, bits), bits)
    assert checked(tmp_path, precision, exact, low)
    assert not checked(tmp_path, "float32", exact, low)
    if precision == "bfloat16":
        assert not checked(tmp_path, "float16", exact, rounded(low, 4))


@pytest.mark.parametrize("model", registry.names("models"))
@pytest.mark.parametrize("precision", ["float32", *LOW])
@pytest.mark.parametrize("effort", ["quick", "standard"])
def test_no_shipped_model_passes_with_weights_that_were_never_updated(
    tmp_path: Path, model: str, precision: str, effort: str
) -> None:
    named = registry.spec(model)
    spec = named.at(named.size(effort))
    layer = next(la for la in reversed(spec.layers) if la.trainable)
    names = [f"{layer.name}.{parameter}" for parameter in layer.parameters]
    start = {name: np.ones(8) for name in names}
    files = (tmp_path / "reference.npz", tmp_path / "written.npz")
    for path, step in zip(files, (0.01, 0.0), strict=True):
        updates = {f"update/{name}": step * values for name, values in start.items()}
        np.savez(path, allow_pickle=False, **updates)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "generate", lambda _layers, _seed: start)
        (check,) = rounding.timed_checks(
            spec,
            "torch-eager",
            precision=precision,
            batch=spec.size(effort).batch,
            seed=0,
            reference=files[0],
            written=files[1],
        )
    assert (check.quantity, check.error) == ("update", 1.0)
    assert 0 < check.bound <= rounding.MOST
    assert not check.ok


def test_a_mixed_bound_is_the_sum_of_its_parts() -> None:
    summed = rounding.rounding_bound(SPEC, "float32", "output", 8)
    found = rounding.rounding_bound(SPEC, "bfloat16", "output", 8)
    assert found == pytest.approx(summed + 8 * math.sqrt(3 * 3) * 2**-8)
    moved = rounding.rounding_bound(SPEC, "bfloat16", "update", 8)
    lost = rounding.rounding_bound(SPEC, "bfloat16", "loss", 8)
    assert moved == pytest.approx(lost + math.sqrt(2 * 2**-8))


@dataclass
class Overflowing:
    """An adapter whose loss scaling skips its first steps."""

    skips: int
    steps: int = 0
    start: dict[str, Any] = field(default_factory=lambda: weights.generate(SPEC.layers, 0))

    def reset(self, _model: object, _weights: object) -> None:
        """Nothing that is looked at."""

    def set_training(self, _model: object, *, training: bool) -> None:
        """Nothing to set."""

    def numpy(self, value: float) -> Any:
        """The value as an array."""
        return np.asarray(value)

    def train_step(self, _model: object, _batch: object) -> float:
        """A step, counted."""
        self.steps += 1
        return 2.0

    def export(self, _model: object) -> dict[str, Any]:
        """The weights, moved once the skipping is over."""
        taken = max(0, self.steps - self.skips)
        return {name: values + taken for name, values in self.start.items()}


@pytest.mark.parametrize(
    ("skips", "scaled", "moved"), [(3, True, 1.0), (3, False, 0.0), (99, True, 0.0)]
)
def test_the_check_takes_the_first_step_that_loss_scaling_does_not_skip(
    tmp_path: Path, skips: int, *, scaled: bool, moved: float
) -> None:
    adapter: Any = Overflowing(skips)
    made = adapter.start
    session = Session(
        adapter=adapter, model=None, spec=SPEC, weights=made, batch=None, batch_size=4
    )
    rounding.write_check(session, tmp_path / "c.npz", "training", scaled=scaled)
    with np.load(tmp_path / "c.npz") as arrays:
        assert np.allclose(arrays["update/dense1.kernel"], moved)


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
    if framework_status(registry.adapter("tensorflow").requires):
        pytest.skip("tensorflow is not installed")
    worker = WorkerProcess(Stack.parse("tensorflow-graph"))
    asked = Settings(mode="graph", layout="channels_first")
    try:
        with pytest.raises(WorkerError, match="channels-last only on a CPU") as error:
            worker.ask(
                "ceiling", deadline_s=60, adapter="tensorflow", settings=asdict(asked), size=8
            )
    finally:
        worker.quit()
    assert error.value.status == "unsupported"


def test_what_a_framework_cannot_do_is_unsupported_and_no_error() -> None:
    assert memory.status(NotImplementedError("no float16 LSTM"), "cpu") == "unsupported"
    assert memory.status(RuntimeError("no float16 LSTM"), "cpu") == "error"


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_every_stack_keeps_the_bound_on_this_cpu(tmp_path: Path, precision: str) -> None:
    frameworks = ("torch", "tensorflow", "keras_torch", "jax")
    able = [n for n in frameworks if framework_status(registry.adapter(n).requires) is None]
    if not able:
        pytest.skip("no framework is installed")
    stacks = [f"{name}-{next(iter(registry.adapter(name).modes))}" for name in able]
    words = f"verify --json --models mlp --precision {precision}".split()
    words += ["--stacks", ",".join(stacks), "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT,
        env=dict(os.environ) | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    parity = from_json(Parity, json.loads(done.stdout)[0]["parity"])
    assert parity.dtype == "float64"
    assert {check.stack for check in parity.timed} == set(stacks)
    assert all(check.ok and check.bound <= rounding.MOST for check in parity.timed)
