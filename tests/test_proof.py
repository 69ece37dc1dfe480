"""The proof: what it must refuse, what it must accept, and what it says; workers are canned."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.frameworks.description import Description, Drop, Node, Output, Step, Weight
from benchmarks.frameworks.encoding import assignment, plain
from benchmarks.proof import compare, comparison, costs, group, outcome, precision, prove
from benchmarks.proof.match import Match, Prints, ambiguous, match
from benchmarks.proof.sides import Sides, UsageError, described
from benchmarks.request import plan
from benchmarks.request.selection import Selection
from benchmarks.results.records import LayerWork, Parity, Stack, TimedCheck
from benchmarks.results.stored.codec import from_json, to_json
from benchmarks.tasks import weights
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, features, image
from benchmarks.worker import checks

Arrays = dict[str, NDArray[Any]]


def _dense(path: str, inputs: int, units: int) -> Node:
    held = {"kernel": Weight(shape=(inputs, units)), "bias": Weight(shape=(units,))}
    return Node(
        path=path,
        kind="Dense",
        cls="Linear",
        weights=held,
        input=(inputs,),
        output=(units,),
        macs=inputs * units,
    )


TASK = Task(
    title="Two dense layers",
    reference="none",
    inputs={"x": features(6)},
    targets={"y": classes(3)},
    loss=(LossPart("cross_entropy", "output", "y"),),
    sizes={"quick": Size(batch=4), "standard": Size(batch=4)},
)
TOLD = Description(
    nodes=(_dense("first", 6, 5), _dense("second", 5, 3)),
    steps=(Step(name="relu", after=1, key="0"),),
    outputs={"output": Output(shape=(3,))},
    parameters=53,
)
LAYERS = costs.layers(TOLD)
KEYS = match(TOLD, TOLD).keys
NAMES = tuple(KEYS)
LOSS = "output.cross_entropy"


def _trace() -> Arrays:
    """What a worker writes of the net: seeded numbers in the right shapes."""
    rng = np.random.default_rng(0)
    x, first, second = (rng.standard_normal((4, n)) for n in (6, 5, 3))
    made = weights.generate(KEYS, 0)
    return {
        "output/output": second,
        "loss": np.asarray(1.5),
        f"loss/{LOSS}": np.asarray(1.5),
        "node/first/in": x,
        "node/first/out": first,
        "step/0/in": first,
        "step/0/out": np.maximum(first, 0),
        "node/second/in": np.maximum(first, 0),
        "node/second/out": second,
        "input_gradient/x": rng.standard_normal((4, 6)),
        **{f"gradient/{name}": rng.standard_normal(made[name].shape) for name in NAMES},
        **{f"after/{o}/{name}": made[name] for o in ("task", "sgd") for name in NAMES},
    }


class Canned:
    """Stands for the workers of a proof: each side tells, computes and counts what it is given."""

    def __init__(
        self,
        traces: Mapping[str, Arrays],
        folder: Path = Path("nowhere"),
        *,
        told: Mapping[str, Description] | None = None,
        counts: Mapping[str, float | None] | None = None,
        as_timed: Mapping[str, Arrays] | None = None,
        larger: Mapping[str, Arrays] | None = None,
    ) -> None:
        self.traces, self.folder = traces, folder
        self.names = tuple(traces)
        self.frameworks = {name: name for name in traces}
        self.told = dict.fromkeys(traces, TOLD) | dict(told or {})
        self.counts, self.as_timed, self.larger = counts or {}, as_timed or {}, larger or {}
        self.asked: list[str] = []

    def opened(self, **_: Any) -> dict[str, Description]:
        return dict(self.told)

    def arrays(self, verb: str, each: Mapping[str, Any], **_: Any) -> Any:
        self.asked += [f"{verb} {name}" for name in each]
        if verb == "infer":
            return {name: self.as_timed[name] for name in each}, []
        if verb == "infer_larger" and self.larger:
            return {name: self.larger[name] for name in each}, []
        after = verb == "train"
        return {
            name: {k: v for k, v in self.traces[name].items() if k.startswith("after/") == after}
            for name in each
        }, []

    def ask(self, verb: str, each: Mapping[str, Any]) -> dict[str, Any]:
        self.asked += [f"{verb} {name}" for name in each]
        return {name: {"flops": self.counts.get(name), "reason": ""} for name in each}

    @property
    def sides(self) -> Sides:
        return cast("Sides", self)


def _canned(*traces: Arrays, **more: Any) -> Canned:
    return Canned(dict(zip(("torch", "tensorflow", "jax"), traces, strict=False)), **more)


ASKED = outcome.Asked(source={}, task=TASK, batch=4)


def _proof(*traces: Arrays, **more: Any) -> outcome.Proof:
    return prove.proven(ASKED, _canned(*traces, **more).sides)


def _off(trace: Arrays, key: str, relative: float = 1e-6) -> Arrays:
    return trace | {key: trace[key] * (1 + relative)}


# --- relative_error -------------------------------------------------------------------------------


def test_the_relative_error_is_a_share_of_the_larger_norm() -> None:
    assert compare.relative_error(np.array([3.0, 4.0]), np.array([3.0, 4.0])) == 0.0
    assert compare.relative_error(np.array([3.0, 4.0]), np.array([0.0, 0.0])) == 1.0
    assert compare.relative_error(np.array([10.0]), np.array([9.0])) == pytest.approx(0.1)
    assert compare.relative_error(np.array([9.0]), np.array([10.0])) == pytest.approx(0.1)


def test_two_zeros_agree_and_the_floor_bounds_from_below() -> None:
    zero, tiny = np.zeros(3), np.full(3, 1e-20)
    assert compare.relative_error(zero, zero) == 0.0
    assert compare.relative_error(zero, tiny) == 1.0
    assert compare.relative_error(zero, tiny, floor=1e-4) == pytest.approx(3**0.5 * 1e-16)


@pytest.mark.parametrize("hole", [math.nan, math.inf])
@pytest.mark.parametrize("side", [0, 1, 2])
def test_nothing_that_is_not_finite_passes(hole: float, side: int) -> None:
    good, bad = np.array([1.0, 2.0]), np.array([1.0, hole])
    a, b = [(bad, good), (good, bad), (bad, bad)][side]
    assert not compare.relative_error(a, b) <= compare.TOLERANCE
    assert not compare.relative_error(a, b, floor=1.0) <= compare.TOLERANCE


def test_another_shape_is_infinitely_wrong_but_axes_of_length_one_are_no_difference() -> None:
    a = np.arange(20.0).reshape(4, 5)
    assert compare.relative_error(a, a[:, :4]) == math.inf
    assert compare.relative_error(a, None) == compare.relative_error(None, a) == math.inf
    assert compare.relative_error(a, a[:, None, None, :]) == 0.0


# --- the proof ------------------------------------------------------------------------------------


def test_equal_traces_are_proven() -> None:
    found = _proof(_trace(), _trace())
    assert found.status == "proven"
    assert found.reason is None
    assert found.parameters == {"torch": 53, "tensorflow": 53}
    assert (found.diagnosis, found.findings) == ((), ())
    assert found.match.how == "2 of 2 layers by path"
    assert set(found.errors) == {
        "output",
        "loss",
        "gradients",
        "input_gradients",
        "after_steps_task",
        "after_steps_sgd",
    }
    assert set(found.errors.values()) == {0.0}
    assert found.sha256 == weights.digest(weights.generate(KEYS, 0))


@pytest.mark.parametrize(
    ("key", "quantity"),
    [
        ("output/output", "output"),
        ("loss", "loss"),
        ("gradient/first.kernel", "gradients"),
        ("input_gradient/x", "input_gradients"),
        ("after/sgd/second.bias", "after_steps_sgd"),
        ("after/task/first.bias", "after_steps_task"),
    ],
)
def test_each_quantity_is_proven_by_itself(key: str, quantity: str) -> None:
    accepted = _proof(_trace(), _off(_trace(), key, 1e-11))
    assert accepted.status == "proven"
    assert accepted.errors[quantity] > 0
    refused = _proof(_trace(), _off(_trace(), key, 1e-8))
    assert refused.status == "failed"
    assert {n for n, error in refused.errors.items() if error > compare.TOLERANCE} == {quantity}
    assert refused.diagnosis
    assert refused.reason is not None


@pytest.mark.parametrize("quantity", ["gradients", "after_steps_sgd", "after_steps_task"])
def test_where_no_cause_is_found_the_quantity_its_error_and_its_key_are_told(quantity: str) -> None:
    key = {
        "gradients": "gradient/second.kernel",
        "after_steps_sgd": "after/sgd/first.kernel",
        "after_steps_task": "after/task/first.kernel",
    }[quantity]
    found = _proof(_trace(), _off(_trace(), key))
    assert found.reason == (
        f"{quantity} differs by 1.0e-06 at {key}, more than 1e-09; no cause was found"
    )
    (cause,) = found.diagnosis
    assert (cause.where, cause.cause) == (key, found.reason)


@pytest.mark.parametrize(
    "key",
    ["output/output", "gradient/first.kernel", "after/sgd/first.bias", "after/task/first.bias"],
)
@pytest.mark.parametrize("spoilt", ["missing here", "missing there", "shape", "nan"])
def test_what_cannot_be_compared_is_infinitely_wrong(key: str, spoilt: str) -> None:
    here, there = _trace(), _trace()
    if spoilt.startswith("missing"):
        del (here if spoilt == "missing here" else there)[key]
    else:
        there[key] = there[key][:-1] if spoilt == "shape" else there[key] * math.nan
    found = _proof(here, there)
    assert found.status == "failed"
    assert math.inf in found.errors.values()
    assert found.diagnosis
    if key.startswith("gradient") and spoilt.startswith("missing"):
        side = "PyTorch" if spoilt == "missing here" else "Keras"
        assert found.diagnosis[0].cause == f"gradients stop before second on the {side} side"
    assert found.document()["parity"]["max_rel_error"] != found.errors  # JSON knows no infinity


def test_a_gradient_of_rounding_alone_is_held_against_the_largest() -> None:
    """A bias that normalisation takes away has a gradient of 1e-16 that no two frameworks share."""
    here, there = _trace(), _trace()
    for trace, sign in ((here, 1), (there, -1)):
        trace["gradient/first.bias"] = np.full(5, sign * 1e-15)
    assert _proof(here, there).status == "proven"
    wrong = _proof(here, _off(there, "after/task/first.kernel"))
    assert wrong.diagnosis[0].where == "after/task/first.kernel"


def test_the_floor_hides_no_real_mistake_in_a_small_gradient() -> None:
    here, there = _trace(), _trace()
    for trace in (here, there):
        trace["gradient/first.bias"] = trace["gradient/first.bias"] * 1e-6
    assert _proof(here, _off(there, "gradient/first.bias", 1e-4)).status == "failed"


def test_a_weight_that_no_gradient_reaches_on_either_side_proves_nothing() -> None:
    still = _trace() | {"gradient/second.bias": np.zeros(3)}
    found = _proof(still, still)
    assert found.status == "refused"
    assert "no gradient reaches second.bias on either side" in (found.reason or "")


def test_one_framework_alone_is_partial() -> None:
    found = _proof(_trace())
    assert found.status == "partial"
    assert found.reason is not None
    assert found.reason.startswith("only torch is here")
    assert found.errors == {}
    assert found.sha256 == _proof(_trace(), _trace()).sha256


def test_every_framework_is_held_against_the_first_which_computes_once() -> None:
    canned = _canned(_trace(), _trace(), _trace())
    assert prove.proven(ASKED, canned.sides).status == "proven"
    assert sorted(canned.asked) == sorted(
        f"{verb} {name}" for verb in ("trace", "train", "infer_larger") for name in canned.names
    )
    found = _proof(_trace(), _trace(), _off(_trace(), "gradient/first.kernel"))
    assert found.status == "failed"
    assert found.errors["gradients"] > 1e-9
    assert found.assigned.keys() == {"torch", "tensorflow", "jax"}
    assert set(_proof(_trace(), _off(_trace(), "output/output"), _trace()).assigned) == {
        "torch",
        "tensorflow",
    }


def test_a_side_without_a_layer_fails_before_anything_is_computed() -> None:
    short = replace(TOLD, nodes=TOLD.nodes[:1], parameters=35)
    canned = _canned(_trace(), _trace(), told={"tensorflow": short})
    found = prove.proven(ASKED, canned.sides)
    assert found.status == "failed"
    assert canned.asked == []
    (cause,) = found.diagnosis
    assert cause.where == "second (Linear) kernel 5x3"
    assert cause.cause == "weights without a counterpart: one side has a layer too many"
    assert cause.keras == "nothing is left over"
    with pytest.raises(UsageError, match="torch and tensorflow do not match: weights without"):
        prove.matched(ASKED, canned.sides)


# --- where twins part -----------------------------------------------------------------------------

ORDER = [
    (("node/first/out", "step/0/in"), "first"),
    (("step/0/out", "node/second/in"), "second"),
    (("node/second/out",), "second"),
    (("output/output",), "output"),
    (("loss", f"loss/{LOSS}"), LOSS),
    (("gradient/second.kernel",), "gradient/second.kernel"),
    (("gradient/first.bias",), "gradient/first.bias"),
    (("after/sgd/first.kernel",), "after/sgd/first.kernel"),
    (("after/task/first.kernel",), "after/task/first.kernel"),
]
"""Forward order, then the loss, then backward, then the steps; and what is named of each."""


@pytest.mark.parametrize("start", range(len(ORDER)))
def test_the_first_of_many_differences_is_named(start: int) -> None:
    there = _trace()
    for later, (keys, _) in enumerate(ORDER[start:]):
        for key in keys:
            there = _off(there, key, 1e-3 / 2**later)
    found = _proof(_trace(), there)
    assert found.diagnosis[0].where == ORDER[start][1]


def test_the_layer_that_computes_something_else_is_told_from_what_feeds_it() -> None:
    there = _trace()
    for keys, _ in ORDER[:4]:
        for key in keys:
            there = _off(there, key, 1e-3)
    (cause,) = _proof(_trace(), there).diagnosis
    assert (cause.where, cause.torch, cause.keras) == (
        "first",
        "none of the known forms",
        "none of the known forms",
    )
    assert cause.cause.startswith("the Dense computes something else")


def test_a_function_between_layers_is_named_on_both_sides() -> None:
    here, there = _trace(), _trace()
    bent = np.tanh(there["step/0/in"])
    there |= {"step/0/out": bent, "node/second/in": bent, "node/second/out": bent[:, :3]}
    there["output/output"] = bent[:, :3]
    told = {"tensorflow": replace(TOLD, steps=(Step(name="tanh", after=1, key="0"),))}
    (cause,) = _proof(here, there, told=told).diagnosis
    assert cause.where == "second"
    assert "ReLU" in cause.cause + cause.torch
    assert "tanh" in cause.cause + cause.keras


def test_a_loss_says_both_values_and_a_sum_for_a_mean_is_recognised() -> None:
    there = _trace()
    for key in ("loss", f"loss/{LOSS}"):
        there[key] = there[key] * 4
    (cause,) = _proof(_trace(), there).diagnosis
    assert (cause.where, cause.torch, cause.keras) == (LOSS, "1.5", "6")
    assert "summed instead of averaged on the Keras side" in cause.cause


def test_what_one_dialect_alone_keeps_of_a_pass_is_passed_over() -> None:
    here, there = _trace(), _trace()
    del here["step/0/in"], here["step/0/out"]
    there["node/padding/out"] = np.zeros(3)
    assert _proof(here, there).status == "proven"


def test_dropout_and_frozen_layers_are_compared_without_numbers() -> None:
    drop = Drop(what="dropout", rate=0.5, after=1, where="first")
    other = replace(drop, rate=0.2)
    told = {
        "torch": replace(TOLD, drops=(drop,)),
        "tensorflow": replace(TOLD, drops=(other,)),
    }
    (cause,) = _proof(_trace(), _trace(), told=told).diagnosis
    assert (cause.where, cause.cause) == ("first", "dropout rate 0.5 against 0.2")
    held = {n: replace(w, trainable=False) for n, w in TOLD.nodes[0].weights.items()}
    frozen = replace(TOLD, nodes=(replace(TOLD.nodes[0], weights=held), TOLD.nodes[1]))
    (cause,) = _proof(_trace(), _trace(), told={"tensorflow": frozen}).diagnosis
    assert (cause.where, cause.torch, cause.keras) == ("first", "trained", "frozen")


def test_what_drops_the_same_values_is_at_the_same_place() -> None:
    """Of branches, the layer that was called last may be another one on each side."""
    drop = Drop(what="dropout", rate=0.5, after=1, where="first")
    told = {
        "torch": replace(TOLD, drops=(drop,)),
        "tensorflow": replace(TOLD, drops=(replace(drop, where="second"),)),
    }
    here = _trace() | {"drop/0": np.arange(1.0, 13.0).reshape(4, 3)}
    assert _proof(here, here, told=told).status == "proven"
    for there in (_trace(), here | {"drop/0": here["drop/0"].T}, _off(here, "drop/0", 1e-3)):
        proof = _proof(here, there, told=told)
        assert proof.status == "failed"
        assert "0.5 behind the Dense first against 0.5 behind" in proof.diagnosis[0].cause
    told["tensorflow"] = replace(TOLD, drops=(replace(drop, rate=0.2),))
    assert _proof(here, here, told=told).diagnosis[0].cause == "dropout rate 0.5 against 0.2"


# --- the proof of what a run times ----------------------------------------------------------------

STACKS = (Stack("torch", "eager"), Stack("tensorflow", "graph"))


def _parity(canned: Canned, task: Task = TASK) -> tuple[Parity, group.Proven]:
    mine = plan.Group(
        name="two",
        model="two",
        sized="standard",
        task=task,
        size=task.size("standard"),
        stacks=STACKS,
        matchups=(),
    )
    found = group.proven(mine, Selection(), canned.sides)
    return found.parity, found


def test_the_record_of_a_proof_holds_all_that_was_found(tmp_path: Path) -> None:
    parity, found = _parity(_canned(_trace(), _trace(), folder=tmp_path))
    assert (parity.status, parity.reason, parity.adapters) == (
        "proven",
        None,
        ("torch", "tensorflow"),
    )
    assert (parity.parameters, parity.forward_flops) == (53, 90.0)
    assert (parity.match, parity.layers) == ("2 of 2 layers by path", LAYERS)
    assert set(parity.max_rel_error) == {
        "output",
        "loss",
        "gradients",
        "input_gradients",
        "after_steps",
        "after_steps_sgd",
        "after_steps_task",
    }
    assert (parity.notes, parity.findings, parity.random) == ((), (), False)
    assert found.references == {part: tmp_path / f"reference-{part}.npz" for part in checks.PARTS}
    assert found.handoffs.keys() == {"torch", "tensorflow"}
    assert set(found.handoffs["torch"]["keys"]) == set(NAMES)
    assert from_json(Parity, to_json(parity)) == parity


def test_a_failed_proof_leaves_nothing_to_time_with(tmp_path: Path) -> None:
    canned = _canned(_trace(), _off(_trace(), "output/output"), folder=tmp_path)
    parity, found = _parity(canned)
    assert parity.status == "failed"
    assert parity.diagnosis[0].where == "output"
    assert (found.references, found.handoffs) == ({}, {})
    assert not [asked for asked in canned.asked if asked.startswith(("count", "reference"))]


def test_the_largest_error_after_training_is_that_of_either_optimizer() -> None:
    parity, _ = _parity(_canned(_trace(), _off(_trace(), "after/sgd/first.kernel")))
    errors = parity.max_rel_error
    assert errors["after_steps"] == errors["after_steps_sgd"]
    assert errors["after_steps_sgd"] != errors["after_steps_task"] == 0.0


@pytest.mark.parametrize("traces", [1, 2])
def test_parameters_other_than_published_fail_with_their_numbers(traces: int) -> None:
    task = replace(TASK, published=Published(parameters=54))
    parity, found = _parity(_canned(*[_trace()] * traces), task)
    assert (parity.status, parity.reason) == (
        "failed",
        "53 parameters, where 54 are published",
    )
    assert found.references == {}
    right = replace(TASK, published=Published(parameters=53))
    assert _parity(_canned(*[_trace()] * traces), right)[0].status != "failed"


@pytest.mark.parametrize(("macs", "status"), [(45, "proven"), (45.2, "proven"), (46, "failed")])
def test_published_macs_are_a_check_at_the_published_shapes(macs: float, status: str) -> None:
    task = replace(TASK, published=Published(macs=macs))
    parity, found = _parity(_canned(_trace(), _trace()), task)
    assert parity.status == status
    if status == "failed":
        assert parity.reason == "45 multiply-accumulates, where 46 are published"
        assert found.references == {}
    other = task.at({"x": (7,)})
    assert (other.published.macs, task.at({"x": (6,)}).published.macs) == (None, macs)


def test_the_order_of_features_that_was_proven_is_kept_at_another_size() -> None:
    """Where the Keras side, too, flattens channels first, its rows must not be turned."""
    proven = _proof(_trace(), _trace())
    turned = tuple(replace(o, grid_in=(2, 3)) for o in proven.assigned["torch"])
    kept = group._as_proven(turned, proven)
    assert [one.grid_in for one in kept] == [None, None]
    as_it_was = replace(proven, assigned={"torch": turned})
    assert group._as_proven(turned, as_it_was) == turned


@pytest.mark.parametrize(
    ("policy", "words"), [("matched", "held at zero"), ("defaults", "train a second bias")]
)
def test_a_second_bias_is_told_as_the_policy_has_it(policy: str, words: str) -> None:
    node = replace(TOLD.nodes[0], kind="LSTM")
    told = dict.fromkeys(("torch", "tensorflow"), replace(TOLD, nodes=(node, TOLD.nodes[1])))
    canned = _canned(_trace(), _trace(), told=told)
    found = prove.proven(replace(ASKED, policy=policy), canned.sides)
    (finding,) = (f for f in found.findings if f.name == "second_bias")
    assert words in finding.text


def test_what_the_leader_computed_serves_no_other_assignment() -> None:
    made = match(TOLD, TOLD)
    turned = replace(made, torch=tuple(replace(o, grid_in=(2, 3)) for o in made.torch))
    assert made.keys == turned.keys
    assert comparison.Leading(made).serves(made)
    assert not comparison.Leading(made).serves(turned)


def test_what_only_larger_values_show_is_a_mismatch() -> None:
    output = {"output/output": _trace()["output/output"]}
    larger = {"torch": output, "tensorflow": _off(output, "output/output", 1e-3)}
    found = prove.proven(ASKED, _canned(_trace(), _trace(), larger=larger).sides)
    assert found.status == "failed"
    assert found.errors["output_of_larger_values"] == pytest.approx(1e-3, rel=1e-2)
    assert "values are 8 times as large" in (found.reason or "")
    larger["tensorflow"] = _off(output, "output/output", 1e-7)
    assert prove.proven(ASKED, _canned(_trace(), _trace(), larger=larger).sides).status == "proven"


class Saturated(Canned):
    """Sides whose outputs of larger values are off: by rounding, and by what else there is.

    ``rounding`` is by how many times they are larger; ``wrong`` is more than that.
    """

    def __init__(self, rounding: Mapping[float, float], wrong: float = 0.0) -> None:
        super().__init__({"torch": _trace(), "tensorflow": _trace(), "jax": _trace()})
        self.rounding, self.wrong = rounding, wrong

    def arrays(self, verb: str, each: Mapping[str, Any], **told: Any) -> Any:
        if verb != "infer_larger":
            return super().arrays(verb, each)
        off = self.rounding[told["times"]]
        self.asked += [f"{told['times']:g} {name}" for name in each]
        output = {"output/output": _trace()["output/output"]}
        found = {name: _off(output, "output/output", off + self.wrong) for name in each}
        leader = _off(output, "output/output", off if told["nudged"] else 0.0)
        return found | ({"torch": leader} if "torch" in each else {}), []


def test_where_rounding_shows_in_larger_values_fewer_times_are_taken() -> None:
    canned = Saturated({8.0: 1e-3, 4.0: 1e-8})
    found = prove.proven(ASKED, canned.sides)
    assert (found.status, found.reason, found.diagnosis) == ("proven", None, ())
    assert "output_of_larger_values" not in found.errors
    (finding,) = found.findings
    assert finding.name == "amplified_rounding"
    assert "8 times as large or more" in finding.text
    assert finding.error == pytest.approx(1e-3, rel=1e-2)
    told = [one for one in canned.asked if one[0].isdigit()]
    assert told == [
        "8 torch",
        "8 tensorflow",
        "8 torch",
        "4 torch",
        "4 tensorflow",
        "8 jax",
        "4 jax",
    ]


@pytest.mark.parametrize(
    ("rounding", "times"),
    [({8.0: 1e-12}, 8), ({8.0: 1e-3, 4.0: 1e-10}, 4), ({8.0: 1e-2, 4.0: 1e-3, 2.0: 1e-8}, 2)],
)
def test_what_is_more_than_rounding_is_a_mismatch_at_fewer_times_too(
    rounding: dict[float, float], times: int
) -> None:
    found = prove.proven(ASKED, Saturated(rounding, wrong=0.1).sides)
    assert found.status == "failed"
    assert f"values are {times} times as large" in (found.reason or "")


def test_a_nudge_moves_each_weight_by_some_roundings() -> None:
    values = weights.generate(KEYS, 0)
    for key, held in compare.nudged(values, 0).items():
        shares = np.abs(held / values[key] - 1)
        assert 0 < shares.max() < 2.0**-47


def test_a_count_of_flops_that_disagrees_is_told_with_its_numbers_and_an_unknown_one_is_not() -> (
    None
):
    counts = {"torch": 90.0, "tensorflow": 91.0}
    parity, _ = _parity(_canned(_trace(), _trace(), counts=counts))
    assert parity.status == "proven"
    (finding,) = parity.findings
    assert finding.name == "flops_tensorflow"
    assert "counts 91 FLOPs per sample, its layers with weights 90" in finding.text
    assert finding.error == pytest.approx(1 / 90)
    unknown = {"torch": 90.0, "tensorflow": None}
    assert _parity(_canned(_trace(), _trace(), counts=unknown))[0].findings == ()


def test_notes_say_what_the_proof_leaves_out() -> None:
    told = replace(TOLD, drops=(Drop(what="dropout", rate=0.5, after=1, where="first"),))
    both = {"torch": told, "tensorflow": told}
    parity, _ = _parity(_canned(_trace(), _trace(), told=both))
    assert (parity.status, parity.random) == ("proven", True)
    assert "masks" in parity.notes[0]


def test_outputs_that_part_at_the_timed_size_alone_are_refused() -> None:
    task = replace(
        TASK,
        inputs={"x": features(12)},
        sizes={"quick": Size(batch=4, shapes={"x": (6,)}), "standard": Size(batch=4)},
    )
    output = {"output/output": _trace()["output/output"]}
    as_timed = {"torch": output, "tensorflow": _off(output, "output/output", 1e-12)}
    parity, found = _parity(_canned(_trace(), _trace(), as_timed=as_timed), task)
    assert parity.status == "proven"
    assert 0 < (parity.max_rel_error["output_as_timed"] or 0) <= 1e-9
    assert found.references
    as_timed["tensorflow"] = _off(output, "output/output")
    parity, found = _parity(_canned(_trace(), _trace(), as_timed=as_timed), task)
    assert parity.status == "failed"
    assert "at the timed size the outputs differ by 1.0e-06" in (parity.reason or "")
    assert found.references == {}


def test_what_is_published_is_held_against_the_timed_size_not_against_that_of_the_proof() -> None:
    """The proof is made with smaller settings, for which nothing is published."""
    sizes = {"quick": Size(batch=4, settings={"width": 2}), "standard": Size(batch=4)}
    task = replace(TASK, settings={"width": 4}, sizes=sizes)
    output = {"output/output": _trace()["output/output"]}
    as_timed = {"torch": output, "tensorflow": output}
    for parameters, status in ((53, "proven"), (54, "failed")):
        published = replace(task, published=Published(parameters=parameters))
        parity, _ = _parity(_canned(_trace(), _trace(), as_timed=as_timed), published)
        assert parity.status == status
        assert parity.parameters == 53


def test_a_description_and_an_assignment_survive_the_pipe() -> None:
    image_of = replace(TOLD.nodes[0], grid_in=(2, 3, 1), constants={"activation": "tanh"})
    told = replace(
        TOLD,
        nodes=(image_of, TOLD.nodes[1]),
        drops=(Drop(what="dropout", rate=0.5, after=1, where="first"),),
        outputs={"output": Output(shape=(2, 2, 3), first=True)},
        random=("torch.rand",),
    )
    assert described("torch", {"description": to_json(told)}) == told
    assigned = match(told, told).torch
    assert assignment(plain(assigned)) == assigned


# --- which layer is which -------------------------------------------------------------------------

MANY = 400
SOON_S = 2.0


def _many(prefix: str, kind: str = "Dense") -> Description:
    nodes = tuple(
        replace(_dense(f"{prefix}{i}", 8, 8), kind=kind, cls=kind.strip("?")) for i in range(MANY)
    )
    return Description(nodes=nodes)


def _within(torch: Description, keras: Description, prints: Any = None) -> Match:
    began = time.process_time()
    found = match(torch, keras, prints)
    assert time.process_time() - began <= SOON_S
    assert found.complete
    assert len(found.keys) == 2 * MANY
    return found


def test_400_layers_are_matched_by_path_or_by_order_in_no_time() -> None:
    by_path = _within(_many("layer."), _many("layer/"))
    assert by_path.how == "400 of 400 layers by path"
    by_order = _within(_many("left."), _many("right_"))
    assert by_order.how == "400 of 400 layers by order"
    assert [b.path for _, b in by_order.pairs] == [f"right_{i}" for i in range(MANY)]
    assert ambiguous(by_order)


def test_400_layers_are_told_apart_by_what_feeds_them_in_no_time() -> None:
    """One side calls them in another order: their inputs and gradients say which is which."""
    order = np.random.default_rng(0).permutation(MANY)
    left: Prints = {f"left.{i}": (float(i + 1), 2.0 * i) for i in range(MANY)}
    right: Prints = {f"right_{j}": (float(i + 1), 2.0 * i) for j, i in enumerate(order)}
    found = _within(_many("left."), _many("right_"), (left, right))
    assert found.how == "400 of 400 layers by what feeds them"
    assert {a.path: b.path for a, b in found.pairs} == {
        f"left.{i}": f"right_{j}" for j, i in enumerate(order)
    }


def test_the_weights_of_400_layers_of_unlike_kinds_are_matched_in_no_time() -> None:
    found = _within(_many("left."), _many("right_", kind="?Mine"))
    assert found.how == "800 weights by shape"
    assert found.loose[0] == ("left.0.kernel", "right_0.kernel")


# --- the timed check ------------------------------------------------------------------------------


def _layers(*terms: int) -> tuple[LayerWork, ...]:
    return tuple(
        LayerWork(
            name=f"{i}", kind="Dense", parameters=1, trainable=True, macs=1, output=1, terms=n
        )
        for i, n in enumerate(terms)
    )


MLP = (_layers(784, 512, 256), replace(TASK, inputs={"x": features(784)}))
RESNET = (_layers(*[4608] * 107), replace(TASK, inputs={"x": image(224, 224, 3)}))


def test_the_bound_grows_with_what_rounding_grows_with() -> None:
    def bound(
        of: tuple[tuple[LayerWork, ...], Task], quantity: str = "output", batch: int = 8
    ) -> float:
        return precision.rounding_bound(*of, "float32", quantity, batch)

    assert bound(MLP) == pytest.approx(8 * 3 * 784**0.5 * 2**-24)
    assert bound(MLP) < bound(RESNET)
    assert bound(MLP) < bound(MLP, "loss") == bound(MLP, "update")
    assert bound(RESNET, "update", 8) < bound(RESNET, "update", 64)
    assert precision.rounding_bound(*MLP, "float64", "output", 8) < 1e-12


def _timed(folder: Path, reference: Arrays, written: Arrays) -> dict[str, TimedCheck]:
    sizes = {f"size/{key}": np.linalg.norm(held) for key, held in weights.generate(KEYS, 0).items()}
    paths: Mapping[str, Path] = {n: folder / f"{n}.npz" for n in ("reference", "written")}
    moved = any(key.startswith("update/") for key in reference)
    stored: dict[str, Any] = reference | (sizes if moved else {})
    np.savez(paths["reference"], allow_pickle=False, **stored)
    np.savez(paths["written"], allow_pickle=False, **written)
    found = precision.timed_checks(
        LAYERS, TASK, "torch-eager", precision="float32", batch=4, **paths
    )
    return {check.quantity: check for check in found}


def _updates(step: float) -> Arrays:
    made = weights.generate(KEYS, 0)
    return {f"update/{name}": step * made[name] for name in NAMES}


def test_a_forward_pass_in_real_float32_is_accepted_and_in_tf32_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((4, 6)), rng.standard_normal((6, 3))
    exact = {"output/output": x @ w}
    single = (x.astype(np.float32) @ w.astype(np.float32)).astype(np.float64)
    assert _timed(tmp_path, exact, {"output/output": single})["output"].ok
    coarse = exact["output/output"] * (1 + 5e-4 * rng.choice([-1, 1], (4, 3)))
    refused = _timed(tmp_path, exact, {"output/output": coarse})["output"]
    assert not refused.ok
    assert refused.error == pytest.approx(5e-4, rel=1e-3)


def test_updates_may_err_by_the_rounding_of_the_weights_they_changed(tmp_path: Path) -> None:
    """A step of a thousandth, read back from float32 weights, has lost ten of its bits."""
    made, step = weights.generate(KEYS, 0), 1e-3
    rounded = {f"update/{n}": (made[n] * (1 + step)).astype(np.float32) - made[n] for n in NAMES}
    check = _timed(tmp_path, _updates(step), rounded)["update"]
    assert (check.error or 0) > 1e-6
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


@pytest.mark.parametrize("written", [b"PK", None])
def test_what_a_stack_did_not_write_is_refused(tmp_path: Path, written: bytes | None) -> None:
    _timed(tmp_path, _updates(0.1), _updates(0.1))
    paths = {name: tmp_path / f"{name}.npz" for name in ("reference", "written")}
    if written is None:
        paths["written"].unlink()
    else:
        paths["written"].write_bytes(written)
    (found,) = precision.timed_checks(
        LAYERS, TASK, "torch-eager", precision="float32", batch=4, **paths
    )
    assert (found.quantity, found.error, found.ok) == ("update", math.inf, False)
