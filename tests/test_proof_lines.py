"""The lines that a diagnosis gives to write: real numbers, and none where it could be wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.frameworks.description import Description, Drop, Node, Step, Weight
from benchmarks.proof.diagnosis import functions, layers, lines, losses, stated
from benchmarks.proof.match import Match, match
from benchmarks.tasks.layers import kinds

RNG = np.random.default_rng(0)


def _node(path: str, kind: str, cls: str, *, weights: Any = None, **constants: Any) -> Node:
    held = {"kernel": (3, 4), "bias": (4,)} if weights is None else weights
    made = {name: Weight(shape=shape) for name, shape in held.items()}
    return Node(path=path, kind=kind, cls=cls, weights=made, constants=constants)


def _pair(a: Node, b: Node) -> Match:
    return Match(pairs=((a, b),), how="")


def _frozen(node: Node) -> Node:
    held = {name: replace(one, trainable=False) for name, one in node.weights.items()}
    return replace(node, weights=held)


FC = _node("fc", "Dense", "Linear"), _node("dense", "Dense", "Dense")
BN = _node("bn", "BatchNorm", "BatchNorm2d"), _node("norm", "BatchNorm", "BatchNormalization")


def _fixes(made: Match, torch: Description, keras: Description) -> list[str]:
    return [cause.fix for cause in stated.structure(made, torch, keras)]


# --- constants ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "classes", "mine", "theirs", "line"),
    [
        (
            "GroupNorm",
            ("GroupNorm", "GroupNormalization"),
            {"groups": 2, "epsilon": 1e-5},
            {"groups": 4, "epsilon": 1e-5},
            "nn.GroupNorm(…, num_groups=4), or layers.GroupNormalization(…, groups=2)",
        ),
        (
            "Conv",
            ("Conv2d", "Conv2D"),
            {"dilation": [2, 2], "groups": 1},
            {"dilation": [1, 1], "groups": 1},
            "nn.Conv2d(…, dilation=1), or layers.Conv2D(…, dilation_rate=2)",
        ),
        (
            "Conv",
            ("Conv2d", "Conv2D"),
            {"strides": [2, 1]},
            {"strides": [1, 1]},
            "nn.Conv2d(…, stride=1), or layers.Conv2D(…, strides=(2, 1))",
        ),
        (
            "GRU",
            ("GRU", "GRU"),
            {"recurrent_activation": "sigmoid"},
            {"recurrent_activation": "hard_sigmoid"},
            'layers.GRU(…, recurrent_activation="sigmoid")',
        ),
        (
            "LSTM",
            ("LSTM", "LSTM"),
            {"go_backwards": True},
            {"go_backwards": False},
            "layers.LSTM(…, go_backwards=True)",
        ),
        (
            "BatchNorm",  # a cumulative average, which Keras has not
            ("BatchNorm1d", "BatchNormalization"),
            {"epsilon": 1e-3, "momentum": None},
            {"epsilon": 1e-3, "momentum": 0.99},
            "nn.BatchNorm1d(…, eps=0.001, momentum=0.01)",
        ),
    ],
)
def test_constants_are_written_as_the_other_side_has_them(
    kind: str, classes: tuple[str, str], mine: Any, theirs: Any, line: str
) -> None:
    pair = _pair(_node("a", kind, classes[0], **mine), _node("b", kind, classes[1], **theirs))
    assert [cause.fix for cause in stated.constants(pair)] == [line]


# --- layers, dropout, frozen layers ---------------------------------------------------------------


def test_a_layer_too_many_is_named_and_a_weight_too_many_is_not_taken_for_one() -> None:
    one, more = (
        Description(nodes=(FC[0],)),
        _node("top", "Dense", "Linear", weights={"kernel": (4, 2)}),
    )
    both = replace(one, nodes=(FC[0], more))
    keras = Description(nodes=(FC[1],))
    assert _fixes(match(both, keras), both, keras) == ["leave top (Linear) out of the PyTorch side"]
    other = replace(keras, nodes=(FC[1], replace(more, path="top", cls="Dense")))
    assert _fixes(match(one, other), one, other) == ["leave top (Dense) out of the Keras side"]
    weights = {"kernel": (3, 4), "bias": (4,), "scale": (7,)}
    part = Description(nodes=(_node("fc", "Dense", "Linear", weights=weights),))
    assert _fixes(match(part, keras), part, keras) == [""]


def test_another_number_of_units_is_told_where_these_alone_differ() -> None:
    torch = Description(nodes=(_node("fc", "Dense", "Linear", weights={"kernel": (3, 8)}),))
    keras = Description(nodes=(_node("dense", "Dense", "Dense", weights={"kernel": (3, 16)}),))
    line = "layers.Dense(8) for dense, or nn.Linear(…, 16) for fc"
    assert _fixes(match(torch, keras), torch, keras) == [line]
    other = Description(nodes=(_node("dense", "Dense", "Dense", weights={"kernel": (5, 16)}),))
    assert _fixes(match(torch, other), torch, other) == [""]


@pytest.mark.parametrize(
    ("mine", "theirs", "line"),
    [
        ([("dropout", 0.2, "fc")], [], "layers.Dropout(0.2) behind dense"),
        ([], [("dropout", 0.5, "dense")], "no layers.Dropout(0.5) behind dense"),
        (
            [("dropout", 0.1, "")],
            [("input dropout", 0.1, "dense")],
            "layers.Dropout(0.1) behind the input, and no dropout=0.1 in dense",
        ),
        (
            [("attention dropout", 0.1, "fc")],
            [("attention dropout", 0.3, "dense")],
            "dropout=0.1 in dense",
        ),
        ([("spatial dropout", 0.2, "fc")], [], ""),
        ([("dropout", 0.2, "elsewhere")], [], ""),
    ],
)
def test_dropout_is_written_as_keras_has_it(mine: Any, theirs: Any, line: str) -> None:
    here, there = (
        [Drop(what=what, rate=rate, after=1, where=where) for what, rate, where in side]
        for side in (mine, theirs)
    )
    assert [cause.fix for cause in stated.dropped(_pair(*FC), here, there)] == [line]


def test_a_layer_is_frozen_where_it_is_not_and_a_norm_keeps_its_statistics() -> None:
    none = Description(nodes=())
    kept = ", and bn.eval() in PyTorch: Keras keeps its statistics then"
    for pair, line in (
        ((_frozen(FC[0]), FC[1]), "dense.trainable = False on the Keras side"),
        ((FC[0], _frozen(FC[1])), "fc.requires_grad_(False) on the PyTorch side"),
        ((_frozen(BN[0]), BN[1]), f"norm.trainable = False on the Keras side{kept}"),
        ((BN[0], _frozen(BN[1])), f"bn.requires_grad_(False) on the PyTorch side{kept}"),
    ):
        assert _fixes(_pair(*pair), none, none) == [line]


def test_random_numbers_become_an_input() -> None:
    torch = Description(nodes=(), random=("randn",))
    (line,) = _fixes(Match(pairs=(), how=""), torch, Description(nodes=()))
    assert "--input NAME=noise:SHAPE" in line


# --- optimizers -----------------------------------------------------------------------------------

ADAM = {
    "class": "Adam",
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "decoupled": False,
    "momentum": None,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
}
KERAS = ADAM | {"decoupled": True, "epsilon": 1e-7}
SGD = ADAM | {"class": "SGD", "momentum": 0.9, "beta_1": None, "beta_2": None}


@pytest.mark.parametrize(
    ("torch", "keras", "line"),
    [
        (
            ADAM | {"learning_rate": 0.01},
            KERAS,
            "torch.optim.Adam(…, lr=0.001), or keras.optimizers.Adam(…, learning_rate=0.01)",
        ),
        (
            ADAM | {"beta_2": 0.95},
            KERAS,
            "torch.optim.Adam(…, betas=(0.9, 0.999)), or keras.optimizers.Adam(…, beta_2=0.95)",
        ),
        (
            SGD,
            SGD | {"decoupled": True, "momentum": 0.0},
            "torch.optim.SGD(…, momentum=0), or keras.optimizers.SGD(…, momentum=0.9)",
        ),
        (ADAM, KERAS | {"weight_decay": 0.1}, "keras.optimizers.Adam(…, weight_decay=0)"),
        (
            ADAM | {"weight_decay": 0.1},
            KERAS | {"weight_decay": 0.1},
            "torch.optim.AdamW(…, weight_decay=0.1)",
        ),
        (
            SGD | {"weight_decay": 0.1},
            SGD | {"decoupled": True, "weight_decay": 0.1},
            "weight_decay=0 on both sides",
        ),
    ],
)
def test_an_optimizer_is_written_as_the_other_side_has_it(
    torch: dict[str, Any], keras: dict[str, Any], line: str
) -> None:
    assert [cause.fix for cause in stated.optimizers(torch, keras)] == [line]


# --- losses ---------------------------------------------------------------------------------------

LOGITS = {"output": RNG.standard_normal((6, 3))}
LABELS = {"y": RNG.integers(0, 3, 6)}


def _loss_fix(a: float, b: float) -> str:
    traces: Any = tuple({"loss/ce": np.asarray(one)} for one in (a, b))
    (cause,) = losses.explained(LOGITS, LABELS, traces)
    return cause.fix


def test_a_summed_loss_is_averaged_on_its_own_side() -> None:
    assert _loss_fix(6.0, 1.0) == 'reduction="mean" on the PyTorch side'
    assert _loss_fix(1.0, 6.0) == 'reduction="sum_over_batch_size" on the Keras side'
    assert _loss_fix(1.0, 1.7) == ""


# --- padding and cropping -------------------------------------------------------------------------


PADDED = 'layers.ZeroPadding2D(((1, 1), (2, 2))) before conv2d, and padding="valid" in it'


def _conv(cls: str, padding: Any, **more: Any) -> Node:
    kind = "ConvTranspose" if "Transpose" in cls else "Conv"
    size = {"kernel_size": [3, 3], "strides": [2, 2], "dilation": [1, 1]}
    return _node(cls.lower(), kind, cls, padding=padding, **(size | more))


@pytest.mark.parametrize(
    ("mine", "theirs", "sizes", "line"),
    [
        (
            [[1, 1], [1, 1]],
            "same",
            (10, 10),
            'layers.ZeroPadding2D(1) before conv2d, and padding="valid" in it',
        ),
        (
            [[1, 1], [2, 2]],
            [[0, 0], [0, 0]],
            (10, 10),
            f"{PADDED}, or nn.Conv2d(…, padding=0)",
        ),
        ([[0, 0], [0, 0]], "same", (10, 10), 'padding="valid" in conv2d'),
        (
            [[0, 0], [0, 0]],
            [[1, 1], [2, 2]],
            (10, 10),
            'padding="valid" in conv2d, or nn.Conv2d(…, padding=(1, 2))',
        ),
        (  # Keras pads before its layer
            [[0, 0], [0, 0]],
            "same",
            (10, 12),
            'padding="valid" in conv2d, and no ZeroPadding2D',
        ),
        ([[0, 0], [0, 0]], "same", (12, 10), ""),  # PyTorch does
    ],
)
def test_padding_is_written_with_its_amounts(
    mine: Any, theirs: Any, sizes: tuple[int, int], line: str
) -> None:
    inputs = [np.zeros((1, size, size, 3)) for size in sizes]
    assert lines.padding(_conv("Conv2d", mine), _conv("Conv2D", theirs), inputs) == line


def test_padding_with_something_else_than_zeros_has_no_line() -> None:
    mine = _conv("Conv2d", [[1, 1], [1, 1]], padding_mode="reflect")
    assert lines.padding(mine, _conv("Conv2D", "same"), [np.zeros(1)] * 2) == ""


@pytest.mark.parametrize(
    ("padding", "strides", "behind"),
    [
        ([[1, 0], [1, 0]], [2, 2], ", and layers.Cropping2D(((1, 0), (1, 0))) behind it"),
        ([[1, 1], [1, 1]], [2, 2], ", and layers.Cropping2D(1) behind it"),
        ([[0, 0], [0, 0]], [2, 2], ""),
        # "valid" gives as many positions as the stride where that is longer than the kernel.
        ([[0, 0], [0, 0]], [4, 4], ", and layers.Cropping2D(((0, 1), (0, 1))) behind it"),
    ],
)
def test_a_crop_is_written_with_its_amounts(padding: Any, strides: list[int], behind: str) -> None:
    mine = _conv("ConvTranspose2d", padding, strides=strides)
    theirs = _conv("Conv2DTranspose", [[0, 1], [0, 1]], strides=strides)
    assert lines.crop(mine, theirs) == f'layers.Conv2DTranspose(…, padding="valid"){behind}'


def test_a_crop_that_adds_has_no_line() -> None:
    mine = _conv("ConvTranspose2d", [[0, -1], [0, -1]])
    assert lines.crop(mine, _conv("Conv2DTranspose", [[0, 1], [0, 1]])) == ""


# --- steps without weights ------------------------------------------------------------------------

IMAGE = RNG.standard_normal((2, 6, 6, 3))


def _pooled(name: str, made: Any, **constants: Any) -> str:
    step = Step(name=name, after=0, key="0", constants=constants)
    return lines.pooling(step, {"step/0/in": IMAGE, "step/0/out": made})


def test_a_pool_is_written_where_its_numbers_show_it() -> None:
    windows = IMAGE.reshape(2, 3, 2, 3, 2, 3)
    assert _pooled("maxpool", windows.max((2, 4)), kernel_size=2) == (
        "layers.MaxPooling2D(2, strides=2)"
    )
    mean = windows.mean((2, 4))
    assert _pooled("avgpool", mean, kernel_size=2, stride=2) == (
        "layers.AveragePooling2D(2, strides=2)"
    )
    assert _pooled("mean", IMAGE.mean((1, 2))) == "layers.GlobalAveragePooling2D()"
    assert _pooled("mean", IMAGE.mean((2, 3))) == ""  # over other axes
    assert _pooled("avgpool", mean, kernel_size=3) == ""  # or something else was done
    assert _pooled("avgpool", mean, kernel_size=9) == ""


def test_the_axes_of_what_is_flattened_are_found() -> None:
    given = RNG.standard_normal((2, 4, 5, 3))
    steps = [Step(name="flatten", after=1, key="0")]
    wanted = given.transpose(0, 3, 1, 2).reshape(2, -1)
    line = "layers.Permute((3, 1, 2)) before the flatten of the Keras side"
    assert lines.permuted(steps, {"step/0/in": given}, wanted) == line
    assert lines.permuted(steps, {"step/0/in": given}, wanted[:, ::-1]) == ""
    assert lines.permuted(steps, {"step/0/in": given}, given.reshape(2, -1)) == ""


def test_what_is_joined_in_another_order_is_found() -> None:
    a, b = IMAGE, RNG.standard_normal((2, 6, 6, 4))
    ends = [np.concatenate(pair, axis=-1) for pair in ((a, b), (b, a))]
    assert "the last 3 channels first" in lines.joined(ends)
    assert lines.joined([ends[0], ends[0][..., ::-1]]) == ""


def test_what_a_layer_is_fed_is_told_of_the_layers_before_it() -> None:
    x, y = RNG.standard_normal((2, 2, 5, 8))
    torch = {"node/attn/in": x, "node/attn/out": y, "node/norm/in": x + y}
    keras = {"node/mha/in": x, "node/mha/out": y, "node/ln/in": x}
    line = lines.fed(("norm", "ln"), [x + y, x], (torch, keras))
    assert line == "on the Keras side, feed ln what mha takes, added to what it gives"
    line = lines.fed(("output", "output"), [y[:, -1], y.mean(1)], (torch, keras))
    assert line == "on the Keras side, return the last step of what mha gives"
    line = lines.fed(("norm", "ln"), [3 * x, x], (torch, keras))  # nothing that Keras has
    assert line == "on the PyTorch side, feed norm what attn takes"
    assert lines.fed(("norm", "ln"), [3 * x, 2 * x], (torch, keras)) == ""


def test_every_variant_that_has_a_line_is_one_of_a_kind() -> None:
    told = [f"{kind.name} {variant}" for kind in kinds() for variant in kind.variants]
    for words in lines.VARIANTS:
        assert [one for one in told if words in one], words


def test_a_line_is_given_only_where_one_side_is_as_it_is_defined() -> None:
    odd, right = "takes axis=1, not the last one", layers.DEFINED
    assert lines.variant(*BN, (right, odd), right) == "layers.BatchNormalization(…, axis=-1)"
    assert lines.variant(*BN, (odd, odd), right) == ""
    assert lines.variant(*BN, (right, "none of the known forms"), right) == ""
    assert lines.variant(*BN, (right, right), right) == ""


def test_every_function_but_none_can_be_written_in_keras() -> None:
    assert functions.IN_KERAS.keys() == functions.FUNCTIONS.keys() - {"no function at all"}
