"""The arithmetic of layers and models, against numbers worked out by hand and published ones."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_float
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.frameworks.description import Description, Node, Output, Weight
from benchmarks.proof import costs, precision
from benchmarks.request import discovery, plan
from benchmarks.request.selection import Selection
from benchmarks.results.records import LayerWork
from benchmarks.tasks import weights
from benchmarks.tasks.layers import kinds
from benchmarks.tasks.optimizers import SGD, Adam, RMSprop
from benchmarks.tasks.task import (
    Published,
    Size,
    Task,
    TaskError,
    check,
    classes,
    image,
    tokens,
)
from tests import described

MODELS = discovery.names("models")
KINDS = {kind.name: kind for kind in kinds()}
Shape = tuple[int, ...]


def _node(
    name: str,
    kind: str,
    shapes: dict[str, Shape],
    given: Shape,
    output: Shape,
    *,
    buffers: tuple[str, ...] = (),
    trainable: bool = True,
) -> Node:
    held = {
        n: Weight(shape=s, buffer=n in buffers, trainable=trainable and n not in buffers)
        for n, s in shapes.items()
    }
    macs = KINDS[kind].macs(shapes, {}, given, output)
    return Node(path=name, kind=kind, cls=kind, weights=held, input=given, output=output, macs=macs)


CONV = _node("conv", "Conv", {"kernel": (3, 3, 3, 4), "bias": (4,)}, (8, 8, 3), (6, 6, 4))
NORM = _node(
    "bn",
    "BatchNorm",
    {"gamma": (4,), "beta": (4,), "mean": (4,), "variance": (4,)},
    (6, 6, 4),
    (6, 6, 4),
    buffers=("mean", "variance"),
)
HEAD = _node("dense", "Dense", {"kernel": (144, 5), "bias": (5,)}, (144,), (5,))
TABLE = _node("embedding", "Embedding", {"table": (9, 7)}, (5,), (5, 7))
CELL = _node(
    "lstm",
    "LSTM",
    {"kernel": (6, 16), "recurrent_kernel": (4, 16), "bias": (16,)},
    (5, 6),
    (5, 4),
)


def _layers(*nodes: Node, frozen: str = "") -> tuple[LayerWork, ...]:
    made = [
        replace(node, weights={n: replace(w, trainable=False) for n, w in node.weights.items()})
        if node.path == frozen
        else node
        for node in nodes
    ]
    return costs.layers(Description(nodes=tuple(made)))


def test_parameters_by_hand() -> None:
    found = [one.parameters for one in _layers(CONV, NORM, HEAD)]
    assert found == [3 * 3 * 3 * 4 + 4, 2 * 4, 144 * 5 + 5]
    unbiased = replace(CONV, weights={"kernel": CONV.weights["kernel"]})
    assert _layers(unbiased)[0].parameters == 3 * 3 * 3 * 4


def test_multiply_accumulates_by_hand() -> None:
    assert CONV.macs == 6 * 6 * 4 * 27 == 3888
    assert HEAD.macs == 720
    assert NORM.macs == 0
    assert TABLE.macs == 0
    assert CELL.macs == 5 * (6 * 16 + 4 * 16)


@pytest.mark.parametrize(
    ("frozen", "backward"),
    [
        # The first layer needs no gradient of its input, so it costs one forward; the second, two.
        ("", 2 * 3888 + 2 * 2 * 720),
        # Nothing before the second layer learns: it alone costs, and only for its weights.
        ("conv", 2 * 720),
        # A frozen layer must still pass the gradient on to what learns before it.
        ("dense", 2 * 3888 + 2 * 720),
    ],
)
def test_flops_by_hand(frozen: str, backward: int) -> None:
    layers = _layers(CONV, HEAD, frozen=frozen)
    assert costs.flops(layers, "forward") == 2 * (3888 + 720)
    assert costs.flops(layers, "backward") == backward
    assert costs.flops(layers, "train_step") == 2 * (3888 + 720) + backward
    assert costs.flops(layers, "epoch") is None
    assert costs.flops(layers, "dataload") is None
    by_layer = list(costs.by_layer(layers))
    assert [(name, forward) for name, forward, _ in by_layer] == [("conv", 7776), ("dense", 1440)]
    assert sum(slope for _, _, slope in by_layer) == backward


def test_a_layer_of_no_known_kind_leaves_its_model_uncounted() -> None:
    mine = replace(HEAD, kind="?Mine")
    (one,) = _layers(mine)
    assert (one.macs, one.parameters) == (None, 725)
    assert costs.flops(_layers(CONV, mine), "forward") is None


def test_the_longest_sums() -> None:
    assert [one.terms for one in _layers(CONV, HEAD, NORM, TABLE)] == [27, 144, 36, 1]
    assert _layers(CELL)[0].terms == 50


def test_a_recurrent_cell_takes_one_step_each_time_it_is_called() -> None:
    """Its input has features and no steps: (6,), not (steps, 6)."""
    cell = replace(CELL, input=(6,), output=(4,), calls=5)
    (one,) = _layers(cell)
    assert (one.terms, one.output) == (10, 20)


def test_the_maps_that_layers_give() -> None:
    """A recurrent layer gives a state at every step, though its caller may take the last alone."""
    assert [one.output for one in _layers(CONV, NORM, HEAD, TABLE)] == [144, 144, 5, 35]
    last = replace(CELL, output=(4,))
    assert [one.output for one in _layers(CELL, last)] == [20, 20]
    assert _layers(replace(HEAD, calls=2))[0].output == 10
    assert [one.looked_up for one in _layers(HEAD, TABLE)] == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "parameters", "macs"),
    [
        ("mlp", 535_818, 784 * 512 + 512 * 256 + 256 * 10),
        ("simple_cnn", 11_290, 30 * 30 * 32 * 27 + 13 * 13 * 16 * 288 + 5760),
        ("digits_cnn", 21_840, 24 * 24 * 10 * 25 + 8 * 8 * 20 * 250 + 320 * 50 + 500),
        ("lstm", 2_692_874, 80 * 512 * 256 + 1280),
        ("resnet50", 25_557_032, 4_089_184_256),  # 4.09 GMAC, as published for v1.5
        ("resnet50_transfer", 24_035_146, 4_089_184_256 - 2_048_000 + 2048 * 256 + 2560),
    ],
)
def test_known_sizes_of_the_shipped_models(model: str, parameters: int, macs: int) -> None:
    layers = described.work(model)
    assert described.told(model).parameters == parameters
    assert sum(one.parameters for one in layers) == parameters
    assert costs.flops(layers, "forward") == 2 * macs
    published = discovery.task(model).published
    assert published.parameters == parameters
    assert published.macs is None or macs == pytest.approx(published.macs, rel=1e-3)


@pytest.mark.slow
def test_a_frozen_body_costs_no_backward() -> None:
    layers = described.work("resnet50_transfer")
    assert costs.flops(layers, "backward") == 2 * (2048 * 256) + 2 * 2 * 2560
    assert [one.name for one in layers if one.trainable] == ["head1", "head2"]


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_names_are_unique_and_canonical(model: str) -> None:
    told = described.told(model)
    names = [node.path for node in told.nodes]
    assert len(set(names)) == len(names)
    known = {"kernel", "bias", "gamma", "beta", "mean", "variance", "table", "recurrent_kernel"}
    for node in told.nodes:
        assert node.kind in KINDS
        assert node.weights.keys() <= known
        for name, weight in node.weights.items():
            assert weight.buffer == (name in {"mean", "variance"})


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("effort", described.EFFORTS)
def test_every_size_has_layers_that_fit_together(model: str, effort: str) -> None:
    task, told = discovery.task(model), described.told(model, effort)
    shaped = task.at(task.size(effort).shapes)
    (given,) = shaped.inputs.values()
    assert (costs.flops(costs.layers(told), "forward") or 0) > 0
    for node in told.nodes:
        assert node.calls == 1
        assert node.input is not None
        assert min(node.output or (0,)) >= 1
        if node.kind == "Dense":
            assert node.weights["kernel"].shape == (node.input[-1], (node.output or ())[-1])
            assert node.grid_in is None or prod(node.grid_in) == node.input[-1]
    assert told.nodes[0].input == given.shape
    assert told.outputs == {"output": Output(shape=(task.targets["label"].count,))}
    assert len(given.shape) == len(next(iter(task.inputs.values())).shape)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_a_task_that_can_be_learned_at_every_size(model: str) -> None:
    task = discovery.task(model)
    check(task)
    assert task.sizes.keys() == {"quick", "standard"}
    assert task.size("release") is task.size("standard")
    assert task.size("standard").shapes == {}  # what is published
    assert all(size.batch > 0 for size in task.sizes.values())


def test_only_models_that_take_long_are_heavy_and_a_quick_look_leaves_them_out() -> None:
    heavy = {name for name in MODELS if discovery.task(name).heavy}
    assert heavy == {"resnet50", "resnet50_transfer"}
    quick = plan.make(Selection(stacks=("null-a",)))
    assert {group.model for group in quick.groups} == set(MODELS) - heavy
    whole = plan.make(Selection(stacks=("null-a",), effort="standard"))
    assert {group.model for group in whole.groups} == set(MODELS)


def test_a_size_may_change_the_input_and_release_runs_what_is_published() -> None:
    task = Task(
        inputs={"x": image(8, 8, 3)},
        targets={"y": classes(5)},
        sizes={"quick": Size(batch=2, shapes={"x": (6, 6, 3)}), "standard": Size(batch=4)},
    )
    assert task.at(task.size("quick").shapes).inputs["x"].shape == (6, 6, 3)
    assert task.at(task.size("standard").shapes).inputs["x"].shape == (8, 8, 3)
    assert task.size("release") is task.size("standard")
    with pytest.raises(TaskError, match="there is no input 'z'; there are: x"):
        task.at({"z": (1,)})


def test_a_size_may_change_targets_and_settings_whose_published_figures_then_say_nothing() -> None:
    task = Task(
        inputs={"x": tokens(8, 30)},
        targets={"y": classes(5, 8)},
        published=Published(parameters=7, macs=9),
        settings={"width": 4, "layers": 2},
        sizes={
            "quick": Size(batch=2, shapes={"x": (6,), "y": (6,)}, settings={"width": 2}),
            "standard": Size(batch=4),
        },
    )
    quick = task.sized("quick")
    assert quick.shapes == {"x": (6,), "y": (6,)}
    assert quick.settings == {"width": 2, "layers": 2}
    assert quick.published == Published()
    assert quick.sized("quick") is quick
    assert task.sized("standard") is task
    assert task.at({"x": (6,)}).published == Published(parameters=7)
    with pytest.raises(TaskError, match="there is no setting 'depth'; there are: width, layers"):
        task.at({}, {"depth": 3})


@pytest.mark.slow
def test_a_smaller_image_makes_smaller_maps_of_the_same_weights() -> None:
    small = described.told("resnet50", "quick")
    convolutions = [node for node in small.nodes if node.kind == "Conv"]
    assert (convolutions[0].output or ())[:2] == (32, 32)
    assert (convolutions[-1].output or ())[:2] == (2, 2)
    assert small.parameters == 25_557_032
    whole = described.told("resnet50")
    assert [n.weights for n in small.nodes] == [n.weights for n in whole.nodes]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "simple_cnn", "digits_cnn"])
def test_float32_passes_and_tf32_does_not(model: str) -> None:
    bound = precision.rounding_bound(
        described.work(model), discovery.task(model), "float32", "output", 64
    )
    assert 1e-6 < bound < 5e-4  # TF32 keeps 10 bits: a relative error of 2^-11


@pytest.mark.parametrize(
    "part",
    [
        lambda: Adam().epsilon,
        lambda: Adam().beta_2,
        lambda: SGD(0.01, momentum=0.9).momentum,
        lambda: SGD(0.01, momentum=0.9).learning_rate,
        lambda: RMSprop().rho,
    ],
)
def test_optimizer_constants_are_those_of_float32(part: Callable[[], Any]) -> None:
    value = part()
    assert value == c_float(value).value
    assert Adam().beta_2 != 0.999


@pytest.mark.slow
def test_the_layers_of_the_small_network_are_those_counted_by_hand() -> None:
    found = described.work("simple_cnn")
    assert [(one.name, one.parameters, one.output) for one in found] == [
        ("conv1", 3 * 3 * 3 * 32 + 32, 30 * 30 * 32),
        ("conv2", 3 * 3 * 32 * 16 + 16, 13 * 13 * 16),
        ("dense", 576 * 10 + 10, 10),
    ]


@pytest.mark.slow
def test_a_frozen_network_is_not_passed_backward() -> None:
    frozen, whole = (
        costs.bytes_of(described.work(name), discovery.task(name), "backward", 1, "float32") or 0
        for name in ("resnet50_transfer", "resnet50")
    )
    assert 0 < frozen < 0.02 * whole


@pytest.mark.slow
def test_every_shipped_model_is_counted() -> None:
    for name in discovery.names("models"):
        task, layers = discovery.task(name), described.work(name)
        assert (costs.bytes_of(layers, task, "train_step", 1, "float32") or 0) > 0


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "simple_cnn", "digits_cnn", "lstm"])
def test_the_values_of_every_small_model_survive_float32(model: str) -> None:
    told = described.told(model)
    keys = {
        f"{node.path}.{name}": {
            "shape": one.shape,
            "name": name,
            "kind": node.kind,
            "start": one.start,
        }
        for node in told.nodes
        for name, one in node.weights.items()
    }
    made = weights.generate(keys, 0)
    assert made
    for name, values in made.items():
        assert np.array_equal(values, values.astype(np.float32)), name
        assert np.isfinite(values).all(), name
        assert (np.abs(values) > 0).all(), name


@pytest.mark.slow
@pytest.mark.parametrize("model", discovery.names("models"))
@pytest.mark.parametrize("kept", ["float32", "tf32", "bfloat16", "float16"])
@pytest.mark.parametrize("effort", described.EFFORTS)
def test_no_shipped_model_passes_with_weights_that_were_never_updated(
    tmp_path: Path, model: str, kept: str, effort: str
) -> None:
    task, layers = discovery.task(model), described.work(model, effort)
    size = task.size(effort)
    layer = next(la for la in reversed(layers) if la.trainable)
    names = [f"{layer.name}.{weight}" for weight in ("kernel", "bias")]
    files = (tmp_path / "reference.npz", tmp_path / "written.npz")
    start = np.ones(8)
    for path, step in zip(files, (0.01, 0.0), strict=True):
        arrays = {f"update/{name}": step * start for name in names}
        arrays |= {f"size/{name}": np.asarray(np.linalg.norm(start)) for name in names}
        np.savez(path, allow_pickle=False, **arrays)
    (check,) = precision.timed_checks(
        layers,
        task.at(size.shapes),
        "torch-eager",
        precision=kept,
        batch=size.batch,
        reference=files[0],
        written=files[1],
    )
    assert (check.quantity, check.error) == ("update", 1.0)
    assert 0 < check.bound <= precision.MOST
    assert not check.ok
