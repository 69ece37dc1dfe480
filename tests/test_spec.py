"""The arithmetic of a model's description, against numbers worked out by hand."""

from collections.abc import Callable
from ctypes import c_float
from dataclasses import replace

import pytest

from benchmarks import registry
from benchmarks.models._spec import (
    LSTM,
    BatchNorm,
    Conv2D,
    Dense,
    Embedding,
    Layer,
    ModelSpec,
    Optimizer,
    Size,
)

MODELS = registry.names("models")
CONV = Conv2D(name="conv", inputs=3, filters=4, kernel=3, out=(6, 6))
NORM = BatchNorm(name="bn", channels=4, out=(6, 6))
HEAD = Dense(name="dense", inputs=144, units=5, grid=(6, 6, 4))


def _spec(*layers: Layer, frozen: str = "") -> ModelSpec:
    def architecture(_spec: ModelSpec) -> tuple[Layer, ...]:
        return tuple(
            replace(la, trainable=la.name != frozen)  # type: ignore[type-var] # all are dataclasses
            for la in layers
        )

    return ModelSpec(
        title="A net",
        reference="none",
        kind="image",
        input_shape=(8, 8, 3),
        classes=5,
        architecture=architecture,
        sizes={"quick": Size(batch=2, input_shape=(6, 6, 3)), "standard": Size(batch=4)},
    )


def test_parameters_by_hand() -> None:
    assert _spec(CONV, NORM, HEAD).parameters == (3 * 3 * 3 * 4 + 4) + 2 * 4 + (144 * 5 + 5)
    unbiased = replace(CONV, bias=False)
    assert _spec(unbiased).parameters == 3 * 3 * 3 * 4
    assert unbiased.parameters == {"kernel": (3, 3, 3, 4)}


def test_multiply_accumulates_by_hand() -> None:
    assert CONV.macs == 6 * 6 * 4 * 27 == 3888
    assert HEAD.macs == 720
    assert NORM.macs == 0
    assert Embedding(name="e", vocabulary=9, units=7).macs == 0
    assert LSTM(name="l", inputs=6, units=4, steps=5).macs == 5 * (6 * 16 + 4 * 16)


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
    spec = _spec(CONV, HEAD, frozen=frozen)
    assert spec.flops("forward") == 2 * (3888 + 720)
    assert spec.flops("backward") == backward
    assert spec.flops("train_step") == 2 * (3888 + 720) + backward
    assert spec.flops("epoch") is None
    assert spec.flops("dataload") is None


def test_the_longest_sums() -> None:
    assert (CONV.reduction, HEAD.reduction, NORM.reduction) == (27, 144, 36)
    assert LSTM(name="l", inputs=6, units=4, steps=5).reduction == 50


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
    spec = registry.spec(model)
    assert spec.parameters == parameters
    assert spec.flops("forward") == 2 * macs


def test_a_frozen_body_costs_no_backward() -> None:
    spec = registry.spec("resnet50_transfer")
    assert spec.flops("backward") == 2 * (2048 * 256) + 2 * 2 * 2560


@pytest.mark.parametrize("model", MODELS)
def test_names_are_unique_and_canonical(model: str) -> None:
    spec = registry.spec(model)
    names = [layer.name for layer in spec.layers]
    assert len(set(names)) == len(names)
    known = {"kernel", "bias", "gamma", "beta", "mean", "variance", "table", "recurrent_kernel"}
    for layer in spec.layers:
        assert layer.parameters.keys() | layer.buffers.keys() <= known
        assert not layer.parameters.keys() & layer.buffers.keys()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("effort", ["quick", "standard"])
def test_every_size_has_layers_that_fit_together(model: str, effort: str) -> None:
    spec = registry.spec(model)
    shaped = spec.at(spec.size(effort))
    assert shaped.flops("forward") > 0  # type: ignore[operator] # forward always has a count
    for layer in shaped.layers:
        if isinstance(layer, Dense) and layer.grid:
            height, width, channels = layer.grid
            assert layer.inputs == height * width * channels
        if isinstance(layer, Conv2D):
            assert min(layer.out) >= 1
    last = shaped.layers[-1]
    assert isinstance(last, Dense)
    assert last.units == spec.classes
    assert len(shaped.input_shape) == len(spec.input_shape)


def test_a_size_may_change_the_input_and_release_runs_what_is_published() -> None:
    spec = _spec(CONV)
    assert spec.at(spec.size("quick")).input_shape == (6, 6, 3)
    assert spec.at(spec.size("standard")).input_shape == (8, 8, 3)
    assert spec.size("release") is spec.size("standard")
    small = registry.spec("resnet50").at(Size(batch=1, input_shape=(64, 64, 3)))
    convolutions = [la for la in small.layers if isinstance(la, Conv2D)]
    assert convolutions[0].out == (32, 32)
    assert convolutions[-1].out == (2, 2)
    assert small.parameters == 25_557_032


@pytest.mark.parametrize("part", [lambda o: o.epsilon, lambda o: o.beta_2, lambda o: o.momentum])
def test_optimizer_constants_are_those_of_float32(part: Callable[[Optimizer], float]) -> None:
    value = part(Optimizer())
    assert value == c_float(value).value
    assert Optimizer().beta_2 != 0.999
