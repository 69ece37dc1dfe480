"""The comparison of two traces: what it must refuse, what it must accept, and what it says."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import parity, registry, rounding, weights
from benchmarks.models._spec import Dense, Layer, ModelSpec, Size
from benchmarks.records import Parity, TimedCheck

Arrays = dict[str, NDArray[Any]]

FIRST, SECOND = (
    Dense(name="first", inputs=6, units=5),
    Dense(name="second", inputs=5, units=3),
)


def _layers(_spec: ModelSpec) -> tuple[Layer, ...]:
    return FIRST, SECOND


SPEC = ModelSpec(
    title="Two dense layers",
    reference="none",
    kind="features",
    input_shape=(6,),
    classes=3,
    architecture=_layers,
    sizes={"quick": Size(batch=4), "standard": Size(batch=4)},
)
NAMES = tuple(f"{la.name}.{p}" for la in (FIRST, SECOND) for p in la.parameters)


def _trace() -> Arrays:
    """What a worker writes of the net: seeded numbers in the right shapes."""
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((4, 5)), rng.standard_normal((4, 3))
    made = weights.generate(_layers(SPEC), 0)
    return {
        "output": second,
        "loss": np.asarray(1.5),
        "activation/first": first,
        "activation/relu": np.maximum(first, 0),
        "activation/second": second,
        "activation_gradient/first": rng.standard_normal((4, 5)),
        "activation_gradient/relu": rng.standard_normal((4, 5)),
        "activation_gradient/second": rng.standard_normal((4, 3)),
        **{f"gradient/{name}": rng.standard_normal(made[name].shape) for name in NAMES},
        **{f"after_steps_{o}/{name}": made[name] for o in ("sgd", "adam") for name in NAMES},
    }


def _facts(**changed: Any) -> dict[str, Any]:
    return {
        "parameters": SPEC.parameters,
        "flops": SPEC.flops("forward"),
        "weights_sha256": "0" * 64,
    } | changed


def _compare(folder: Path, *traces: Arrays, facts: Iterable[dict[str, Any]] = ()) -> Parity:
    written = {}
    for name, trace in zip(("torch", "tensorflow", "jax"), traces, strict=False):
        written[name] = folder / f"{name}.npz"
        np.savez(written[name], allow_pickle=False, **trace)
    told = dict(zip(written, facts or [_facts() for _ in traces], strict=True))
    return parity.compare(SPEC, written, told)


def _off(trace: Arrays, key: str, relative: float = 1e-6) -> Arrays:
    return trace | {key: trace[key] * (1 + relative)}


# --- relative_error -------------------------------------------------------------------------------


def test_the_relative_error_is_a_share_of_the_larger_norm() -> None:
    assert parity.relative_error(np.array([3.0, 4.0]), np.array([3.0, 4.0])) == 0.0
    assert parity.relative_error(np.array([3.0, 4.0]), np.array([0.0, 0.0])) == 1.0
    assert parity.relative_error(np.array([10.0]), np.array([9.0])) == pytest.approx(0.1)
    assert parity.relative_error(np.array([9.0]), np.array([10.0])) == pytest.approx(0.1)


def test_two_zeros_agree_and_the_floor_bounds_from_below() -> None:
    zero, tiny = np.zeros(3), np.full(3, 1e-20)
    assert parity.relative_error(zero, zero) == 0.0
    assert parity.relative_error(zero, tiny) == 1.0
    assert parity.relative_error(zero, tiny, floor=1e-4) == pytest.approx(3**0.5 * 1e-16)


@pytest.mark.parametrize("hole", [math.nan, math.inf])
@pytest.mark.parametrize("side", [0, 1, 2])
def test_nothing_that_is_not_finite_passes(hole: float, side: int) -> None:
    good, bad = np.array([1.0, 2.0]), np.array([1.0, hole])
    a, b = [(bad, good), (good, bad), (bad, bad)][side]
    assert not parity.relative_error(a, b) <= parity.TOLERANCE
    assert not parity.relative_error(a, b, floor=1.0) <= parity.TOLERANCE


# --- the proof ------------------------------------------------------------------------------------


def test_equal_traces_are_proven(tmp_path: Path) -> None:
    found = _compare(tmp_path, _trace(), _trace())
    assert found.status == "proven"
    assert found.reason is None
    assert found.adapters == ("torch", "tensorflow")
    assert (found.parameters, found.forward_flops) == (53, 90.0)
    assert found.first_difference is None
    assert set(found.max_rel_error) == {
        "output",
        "loss",
        "gradients",
        "after_steps",
        "after_steps_sgd",
        "after_steps_adam",
    }
    assert set(found.max_rel_error.values()) == {0.0}


@pytest.mark.parametrize(
    ("key", "quantity"),
    [
        ("output", "output"),
        ("loss", "loss"),
        ("gradient/first.kernel", "gradients"),
        ("after_steps_sgd/second.bias", "after_steps_sgd"),
        ("after_steps_adam/first.bias", "after_steps_adam"),
    ],
)
def test_each_quantity_is_proven_by_itself(tmp_path: Path, key: str, quantity: str) -> None:
    accepted = _compare(tmp_path, _trace(), _off(_trace(), key, 1e-11))
    assert accepted.status == "proven"
    assert accepted.max_rel_error[quantity] > 0
    refused = _compare(tmp_path, _trace(), _off(_trace(), key, 1e-8))
    assert refused.status == "failed"
    over = {name for name, error in refused.max_rel_error.items() if error > refused.tolerance}
    assert over - {"after_steps"} == {quantity}
    assert ("after_steps" in over) == quantity.startswith("after_steps")
    assert quantity.removesuffix("_sgd").removesuffix("_adam") in (refused.reason or "")
    assert "more than 1e-09" in (refused.reason or "")


@pytest.mark.parametrize("key", ["output", "gradient/first.kernel", "after_steps_sgd/first.bias"])
@pytest.mark.parametrize("spoilt", ["missing here", "missing there", "shape", "nan"])
def test_what_cannot_be_compared_is_infinitely_wrong(tmp_path: Path, key: str, spoilt: str) -> None:
    here, there = _trace(), _trace()
    if spoilt.startswith("missing"):
        del (here if spoilt == "missing here" else there)[key]
    else:
        there[key] = there[key][:-1] if spoilt == "shape" else there[key] * math.nan
    found = _compare(tmp_path, here, there)
    assert found.status == "failed"
    assert math.inf in found.max_rel_error.values()
    assert found.first_difference is not None
    assert found.first_difference.where == key.rpartition("/")[-1]
    if spoilt == "missing there":
        assert found.first_difference.b == "tensorflow: nothing"


def test_a_gradient_of_rounding_alone_is_held_against_the_largest(tmp_path: Path) -> None:
    """A bias that normalisation takes away has a gradient of 1e-16 that no two frameworks share."""
    here, there = _trace(), _trace()
    for trace, sign in ((here, 1), (there, -1)):
        trace["gradient/first.bias"] = np.full(5, sign * 1e-15)
    assert _compare(tmp_path, here, there).status == "proven"
    wrong = _off(there, "after_steps_adam/first.kernel")
    difference = _compare(tmp_path, here, wrong).first_difference
    assert difference is not None
    assert difference.where == "first.kernel"
    assert difference.quantity == "value after 3 steps of adam"


def test_the_floor_hides_no_real_mistake_in_a_small_gradient(tmp_path: Path) -> None:
    here, there = _trace(), _trace()
    for trace in (here, there):
        trace["gradient/first.bias"] = trace["gradient/first.bias"] * 1e-6
    assert _compare(tmp_path, here, _off(there, "gradient/first.bias", 1e-4)).status == "failed"


def test_one_adapter_alone_is_partial(tmp_path: Path) -> None:
    found = _compare(tmp_path, _trace())
    assert found.status == "partial"
    assert found.reason is not None
    assert found.reason.startswith("only torch is here")
    assert found.max_rel_error == {}


def test_every_adapter_is_held_against_the_first(tmp_path: Path) -> None:
    found = _compare(tmp_path, _trace(), _trace(), _off(_trace(), "output"))
    assert found.status == "failed"
    assert found.first_difference is not None
    assert found.first_difference.b.startswith("jax: ")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"parameters": 54}, "tensorflow has 54 parameters, the spec 53"),
        ({"flops": 91.0}, "tensorflow does 91 FLOPs per sample, the spec 90"),
        ({"weights_sha256": "f" * 64}, "the workers drew different weights"),
    ],
)
def test_counted_facts_that_disagree_fail_with_their_numbers(
    tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    found = _compare(tmp_path, _trace(), _trace(), facts=[_facts(), _facts(**changed)])
    assert (found.status, found.reason) == ("failed", words)
    assert found.max_rel_error == {}


def test_facts_are_checked_for_one_adapter_too_and_unknown_flops_are_no_mistake(
    tmp_path: Path,
) -> None:
    assert _compare(tmp_path, _trace(), facts=[_facts(parameters=1)]).status == "failed"
    assert _compare(tmp_path, _trace(), facts=[_facts(flops=None)]).status == "partial"


def test_notes_say_what_the_proof_leaves_out(tmp_path: Path) -> None:
    assert _compare(tmp_path, _trace()).notes == ()
    assert "masks" in parity._notes(registry.spec("digits_cnn"))[0]
    assert "Adam" in parity._notes(registry.spec("lstm"))[0]


# --- the first difference -------------------------------------------------------------------------


def _first(here: Arrays, there: Arrays) -> tuple[str, str] | None:
    found = parity.first_difference(here, there, "torch", "tensorflow")
    return (found.where, found.quantity) if found else None


ORDER = [
    ("activation/first", "first", "output of the layer"),
    ("activation/second", "second", "output of the layer"),
    ("output", "output", "output"),
    ("loss", "loss", "loss"),
    ("activation_gradient/second", "second", "gradient of the output"),
    ("gradient/second.kernel", "second.kernel", "gradient"),
    ("activation_gradient/first", "first", "gradient of the output"),
    ("gradient/first.bias", "first.bias", "gradient"),
    ("after_steps_sgd/first.kernel", "first.kernel", "value after 3 steps of sgd"),
    ("after_steps_adam/first.kernel", "first.kernel", "value after 3 steps of adam"),
]


@pytest.mark.parametrize("start", range(len(ORDER)))
def test_the_first_of_many_differences_is_named(start: int) -> None:
    """Forward order, then backward, then the steps."""
    there = _trace()
    for key, _, _ in ORDER[start:]:
        there = _off(there, key)
    assert _first(_trace(), there) == ORDER[start][1:]


def test_equal_traces_have_no_difference() -> None:
    assert _first(_trace(), _trace()) is None


def test_a_difference_shows_values_shapes_and_error() -> None:
    there = _off(_trace(), "activation/first", 1e-3)
    found = parity.first_difference(_trace(), there, "torch", "tensorflow")
    assert found is not None
    head = _trace()["activation/first"].ravel()[:4]
    assert found.a.startswith("torch: [" + ", ".join(f"{v:.6g}" for v in head))
    assert found.b.startswith("tensorflow: [")
    assert (found.shape_a, found.shape_b) == ((4, 5), (4, 5))
    assert found.error == pytest.approx(1e-3, rel=0.01)


def test_another_shape_is_a_difference_without_an_error() -> None:
    there = _trace()
    there["activation/first"] = there["activation/first"][:, :4]
    found = parity.first_difference(_trace(), there, "torch", "tensorflow")
    assert found is not None
    assert (found.where, found.error) == ("first", None)
    assert (found.shape_a, found.shape_b) == ((4, 5), (4, 4))


def test_axes_of_length_one_are_no_difference() -> None:
    there = _trace()
    there["activation/first"] = there["activation/first"][:, None, None, :]
    there["activation_gradient/first"] = there["activation_gradient/first"][:, None, None, :]
    assert _first(_trace(), there) is None


def test_layers_that_one_dialect_alone_knows_are_passed_over() -> None:
    here, there = _trace(), _trace()
    del here["activation/relu"], here["activation_gradient/relu"]
    there["activation/padding"] = np.zeros(3)
    assert _first(here, there) is None


def test_ties_of_max_pooling_are_masked() -> None:
    """Where a ReLU gave zeros, frameworks route the gradient to different ones: nothing follows."""
    here, there = _trace(), _trace()
    zeros = here["activation/relu"] == 0
    there["activation_gradient/relu"] = there["activation_gradient/relu"] + zeros
    assert zeros.any()
    assert _first(here, there) is None
    there["activation_gradient/relu"] = there["activation_gradient/relu"] + 1e-3 * ~zeros
    assert _first(here, there) == ("relu", "gradient of the output")


# --- the timed check ------------------------------------------------------------------------------


def test_the_bound_grows_with_what_rounding_grows_with() -> None:
    mlp, resnet = registry.spec("mlp"), registry.spec("resnet50")

    def bound(spec: ModelSpec, quantity: str = "output", batch: int = 8) -> float:
        return rounding.rounding_bound(spec, "float32", quantity, batch)

    assert bound(mlp) == pytest.approx(8 * 3 * 784**0.5 * 2**-24)
    assert bound(mlp) < bound(resnet)
    assert bound(mlp) < bound(mlp, "loss") == bound(mlp, "update")
    assert bound(resnet, "update", 8) < bound(resnet, "update", 64)
    assert rounding.rounding_bound(mlp, "float64", "output", 8) < 1e-12


@pytest.mark.parametrize("model", ["mlp", "simple_cnn", "digits_cnn"])
def test_float32_passes_and_tf32_does_not(model: str) -> None:
    bound = rounding.rounding_bound(registry.spec(model), "float32", "output", 64)
    assert 1e-6 < bound < 5e-4  # TF32 keeps 10 bits: a relative error of 2^-11


def _timed(folder: Path, reference: Arrays, written: Arrays) -> dict[str, TimedCheck]:
    paths: Mapping[str, Path] = {n: folder / f"{n}.npz" for n in ("reference", "written")}
    np.savez(paths["reference"], allow_pickle=False, **reference)
    np.savez(paths["written"], allow_pickle=False, **written)
    found = rounding.timed_checks(
        SPEC, "torch-eager", precision="float32", batch=4, seed=0, **paths
    )
    return {check.quantity: check for check in found}


def _updates(step: float) -> Arrays:
    made = weights.generate(_layers(SPEC), 0)
    return {f"update/{name}": step * made[name] for name in NAMES}


def test_a_forward_pass_in_real_float32_is_accepted_and_in_tf32_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((4, 6)), rng.standard_normal((6, 3))
    exact = {"output": x @ w}
    single = (x.astype(np.float32) @ w.astype(np.float32)).astype(np.float64)
    assert _timed(tmp_path, exact, {"output": single})["output"].ok
    coarse = exact["output"] * (1 + 5e-4 * rng.choice([-1, 1], (4, 3)))
    refused = _timed(tmp_path, exact, {"output": coarse})["output"]
    assert not refused.ok
    assert refused.error == pytest.approx(5e-4, rel=1e-3)


def test_updates_may_err_by_the_rounding_of_the_weights_they_changed(tmp_path: Path) -> None:
    """A step of a thousandth, read back from float32 weights, has lost ten of its bits."""
    made, step = weights.generate(_layers(SPEC), 0), 1e-3
    rounded = {f"update/{n}": (made[n] * (1 + step)).astype(np.float32) - made[n] for n in NAMES}
    check = _timed(tmp_path, _updates(step), rounded)["update"]
    assert check.error > 1e-6
    assert check.ok
    assert not _timed(tmp_path, _updates(step), _updates(1.01 * step))["update"].ok


@pytest.mark.parametrize("spoilt", ["missing", "shape", "nan"])
def test_a_timed_stack_that_gives_something_else_is_refused(tmp_path: Path, spoilt: str) -> None:
    reference, written = _updates(0.1) | {"loss": np.asarray(2.0)}, _updates(0.1)
    written["loss"] = np.asarray(2.0)
    if spoilt == "missing":
        del written["update/first.kernel"]
    elif spoilt == "shape":
        written["update/first.kernel"] = written["update/first.kernel"][:-1]
    else:
        written["update/first.kernel"] = written["update/first.kernel"] * math.nan
    found = _timed(tmp_path, reference, written)
    assert found["loss"].ok
    assert not found["update"].ok


def test_nothing_moved_is_an_update_too(tmp_path: Path) -> None:
    assert _timed(tmp_path, _updates(0.0), _updates(0.0))["update"].ok
    assert not _timed(tmp_path, _updates(0.0), _updates(0.1))["update"].ok


def test_a_reference_without_quantities_checks_nothing(tmp_path: Path) -> None:
    assert _timed(tmp_path, {}, {}) == {}
