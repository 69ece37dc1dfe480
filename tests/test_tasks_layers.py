"""Kinds of layers: each reference against both frameworks, and the counts against loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.tasks.layers import Kind, Part, Slot, attribute, kind_of, kinds
from benchmarks.tasks.layers.attention import attend

TOLERANCE = 1e-10

Array = NDArray[Any]
Case = tuple[str, dict[str, Any], tuple[int, ...]]

# The class in torch.nn, its arguments, and the shape of its input, channels last with the batch.
TORCH: list[Case] = [
    ("Linear", {"in_features": 3, "out_features": 4}, (2, 3)),
    ("Linear", {"in_features": 3, "out_features": 4, "bias": False}, (2, 5, 3)),
    ("Conv1d", {"in_channels": 4, "out_channels": 6, "kernel_size": 3}, (2, 9, 4)),
    (
        "Conv1d",
        {"in_channels": 4, "out_channels": 6, "kernel_size": 4, "padding": "same", "dilation": 2},
        (2, 9, 4),
    ),
    (
        "Conv2d",
        {
            "in_channels": 4,
            "out_channels": 6,
            "kernel_size": (3, 2),
            "stride": (2, 1),
            "padding": (1, 0),
            "dilation": (1, 2),
            "groups": 2,
        },
        (2, 7, 6, 4),
    ),
    (
        "Conv2d",
        {"in_channels": 3, "out_channels": 6, "kernel_size": 3, "groups": 3, "bias": False},
        (2, 5, 6, 3),
    ),
    (
        "Conv2d",
        {
            "in_channels": 2,
            "out_channels": 3,
            "kernel_size": 3,
            "padding": 2,
            "padding_mode": "circular",
        },
        (2, 5, 6, 2),
    ),
    (
        "Conv2d",
        {"in_channels": 2, "out_channels": 3, "kernel_size": 3, "padding": "valid"},
        (2, 5, 6, 2),
    ),
    (
        "Conv3d",
        {"in_channels": 2, "out_channels": 3, "kernel_size": 2, "stride": 2, "padding": 1},
        (2, 4, 5, 3, 2),
    ),
    (
        "ConvTranspose1d",
        {
            "in_channels": 4,
            "out_channels": 6,
            "kernel_size": 3,
            "stride": 2,
            "padding": 1,
            "output_padding": 1,
            "groups": 2,
        },
        (2, 5, 4),
    ),
    (
        "ConvTranspose2d",
        {
            "in_channels": 2,
            "out_channels": 3,
            "kernel_size": (4, 2),
            "stride": (2, 3),
            "output_padding": (0, 2),
            "bias": False,
        },
        (2, 3, 4, 2),
    ),
    (
        "ConvTranspose3d",
        {"in_channels": 2, "out_channels": 3, "kernel_size": 2, "dilation": 2, "padding": 1},
        (2, 3, 4, 3, 2),
    ),
    ("BatchNorm1d", {"num_features": 3, "momentum": None}, (6, 3)),
    ("BatchNorm1d", {"num_features": 3, "affine": False}, (2, 5, 3)),
    ("BatchNorm2d", {"num_features": 3, "eps": 0.01}, (2, 4, 5, 3)),
    ("BatchNorm3d", {"num_features": 3, "track_running_stats": False}, (2, 2, 3, 2, 3)),
    ("LayerNorm", {"normalized_shape": 5}, (2, 3, 5)),
    ("LayerNorm", {"normalized_shape": (3, 5), "bias": False}, (2, 3, 5)),
    ("LayerNorm", {"normalized_shape": 5, "elementwise_affine": False}, (2, 5)),
    ("GroupNorm", {"num_groups": 2, "num_channels": 6}, (2, 4, 3, 6)),
    ("GroupNorm", {"num_groups": 3, "num_channels": 6, "affine": False}, (2, 6)),
    ("RMSNorm", {"normalized_shape": 5}, (2, 3, 5)),
    ("RMSNorm", {"normalized_shape": (3, 5), "eps": 0.1}, (2, 3, 5)),
    ("PReLU", {}, (2, 4, 3)),
    ("PReLU", {"num_parameters": 3}, (2, 4, 3)),
    ("Embedding", {"num_embeddings": 7, "embedding_dim": 3, "padding_idx": 0}, (2, 4)),
    *(
        (name, {"input_size": 3, "hidden_size": 4, "batch_first": True, **more}, (2, 5, 3))
        for name in ("RNN", "LSTM", "GRU")
        for more in (
            {},
            {"bias": False},
            {"num_layers": 2},
            {"bidirectional": True},
            {"num_layers": 2, "bidirectional": True},
        )
    ),
    (
        "RNN",
        {"input_size": 3, "hidden_size": 4, "nonlinearity": "relu", "batch_first": True},
        (2, 5, 3),
    ),
    (
        "LSTM",
        {"input_size": 3, "hidden_size": 4, "proj_size": 2, "num_layers": 2, "batch_first": True},
        (2, 5, 3),
    ),
    *(
        ("MultiheadAttention", {"embed_dim": 6, "num_heads": 2, "batch_first": True, **more}, x)
        for x in [(2, 5, 6)]
        for more in (
            {},
            {"bias": False},
            {"add_bias_kv": True, "add_zero_attn": True},
            {"kdim": 4, "vdim": 3},
        )
    ),
]

KERAS: list[Case] = [
    ("Dense", {"units": 4}, (2, 3)),
    ("Dense", {"units": 4, "use_bias": False, "activation": "gelu"}, (2, 5, 3)),
    *(
        ("Dense", {"units": 4, "activation": name}, (2, 3))
        for name in ("relu", "tanh", "sigmoid", "softmax", "silu", "elu", "softplus")
    ),
    (
        "Conv1D",
        {"filters": 6, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
        (2, 9, 4),
    ),
    ("Conv1D", {"filters": 6, "kernel_size": 4, "padding": "same"}, (2, 9, 4)),
    (
        "Conv2D",
        {
            "filters": 6,
            "kernel_size": (3, 2),
            "strides": 2,
            "padding": "same",
            "activation": "relu",
        },
        (2, 8, 7, 4),
    ),
    (
        "Conv2D",
        {"filters": 6, "kernel_size": 3, "groups": 2, "use_bias": False, "dilation_rate": 2},
        (2, 8, 7, 4),
    ),
    ("Conv3D", {"filters": 3, "kernel_size": 2, "strides": 2, "padding": "same"}, (2, 4, 5, 3, 2)),
    ("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, (2, 8, 3)),
    (
        "DepthwiseConv2D",
        {"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2},
        (2, 8, 7, 3),
    ),
    ("SeparableConv1D", {"filters": 4, "kernel_size": 3, "activation": "relu"}, (2, 8, 3)),
    (
        "SeparableConv2D",
        {
            "filters": 4,
            "kernel_size": 3,
            "strides": 2,
            "padding": "same",
            "depth_multiplier": 2,
            "use_bias": False,
        },
        (2, 8, 7, 3),
    ),
    *(
        (
            "Conv1DTranspose",
            {"filters": 4, "kernel_size": kernel, "strides": stride, "padding": padding},
            (2, 5, 3),
        )
        for kernel, stride, padding in product((2, 3, 4, 5), (1, 2, 3), ("valid", "same"))
    ),
    (
        "Conv2DTranspose",
        {
            "filters": 4,
            "kernel_size": (3, 4),
            "strides": 2,
            "padding": "same",
            "output_padding": 1,
            "use_bias": False,
        },
        (2, 3, 4, 3),
    ),
    ("Conv3DTranspose", {"filters": 3, "kernel_size": 2, "strides": 2}, (2, 2, 3, 2, 2)),
    ("BatchNormalization", {}, (6, 3)),
    ("BatchNormalization", {"center": False, "epsilon": 0.1}, (2, 4, 5, 3)),
    ("BatchNormalization", {"scale": False}, (2, 4, 3)),
    ("LayerNormalization", {}, (2, 4, 5)),
    ("LayerNormalization", {"axis": [1, 2], "center": False}, (2, 4, 5)),
    ("LayerNormalization", {"scale": False}, (2, 4, 5)),
    ("GroupNormalization", {"groups": 2}, (2, 4, 3, 6)),
    ("GroupNormalization", {"groups": -1, "scale": False}, (2, 4, 3, 6)),
    ("RMSNormalization", {}, (2, 4, 5)),
    ("RMSNormalization", {"axis": [1, 2], "epsilon": 0.1}, (2, 4, 5)),
    ("PReLU", {}, (2, 4, 3)),
    ("PReLU", {"shared_axes": [1]}, (2, 4, 3)),
    ("PReLU", {"shared_axes": [1, 2]}, (2, 4, 5, 3)),
    ("Embedding", {"input_dim": 7, "output_dim": 3, "mask_zero": True}, (2, 4)),
    *(
        (name, {"units": 4, "return_sequences": True, **more}, (2, 5, 3))
        for name in ("SimpleRNN", "LSTM", "GRU")
        for more in (
            {},
            {"use_bias": False},
            {"go_backwards": True},
            {"activation": "relu", "dropout": 0.1, "recurrent_dropout": 0.2},
        )
    ),
    ("LSTM", {"units": 4, "return_sequences": True, "recurrent_activation": "tanh"}, (2, 5, 3)),
    ("GRU", {"units": 4, "return_sequences": True, "reset_after": False}, (2, 5, 3)),
    *(
        ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, **more}, (2, 5, 4))
        for more in (
            {},
            {"use_bias": False, "value_dim": 5},
            {"output_shape": 7, "dropout": 0.1},
            {"use_gate": True, "sliding_window": 2},
        )
    ),
]


def drawn(name: str, arguments: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    """Draw an input of that shape: indices for a table, else numbers."""
    rng = np.random.default_rng(7)
    if name == "Embedding":
        size = arguments.get("num_embeddings", arguments.get("input_dim"))
        return rng.integers(0, size, shape)
    return rng.normal(size=shape)


def read(
    layer: object, part: Part, numpy_of: Callable[[Any], Array], *, check: bool = True
) -> dict[str, Array]:
    """Read a part's canonical weights through its slots, and turn each of them back."""
    weights = {}
    for slot in part.slots:
        stored = numpy_of(attribute(layer, slot.attribute))[slot.index]
        turned = slot.turn(stored)
        if check:
            require_inverse(slot, stored)
        if slot.spare:
            assert not stored.any()
        else:
            weights[slot.name] = turned
    return weights


def require_inverse(slot: Slot, stored: Array) -> None:
    """Turn random numbers of the stored shape and turn them back; nothing but order may change."""
    random = np.random.default_rng(3).normal(size=stored.shape)
    turned = slot.turn(random)
    np.testing.assert_array_equal(np.sort(turned, axis=None), np.sort(random, axis=None))
    np.testing.assert_array_equal(slot.back(turned), random)


def composed(
    kind: Kind, parts: tuple[Part, ...], weights: list[dict[str, Array]], x: Array
) -> Array:
    """Run the parts of a layer one on the other; those of a layer's two directions side by side."""
    assert kind.reference is not None
    after: dict[str, list[Array]] = {}
    for part, own in zip(parts, weights, strict=True):
        depth, _, backwards = part.suffix.partition(".")
        if depth not in after and after:
            x = np.concatenate(list(after.values())[-1], axis=-1)
        y = kind.reference(own, x, part.constants)
        after.setdefault(depth, []).append(y[:, ::-1] if backwards else y)
    return np.concatenate(list(after.values())[-1], axis=-1)


def moved(x: Any, name: str) -> Any:
    """Move a channels-last tensor's channels to axis 1 for the layers that want them there."""
    spatial = name.startswith(("Conv", "BatchNorm", "GroupNorm", "PReLU"))
    return x.moveaxis(-1, 1) if spatial else x


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "shape"), TORCH, ids=[f"{at}-{one[0]}" for at, one in enumerate(TORCH)]
)
def test_torch_computes_the_reference(
    name: str, arguments: dict[str, Any], shape: tuple[int, ...]
) -> None:
    torch: Any = pytest.importorskip("torch")
    torch.manual_seed(1)
    layer = getattr(torch.nn, name)(**arguments).double()
    with torch.no_grad():
        for at, value in layer.named_parameters():
            spare = name in {"RNN", "LSTM"} and "bias_hh" in at
            value.copy_(torch.zeros_like(value) if spare else 0.5 * torch.randn_like(value))
    kind = kind_of(layer, "torch")
    assert kind is not None
    x = drawn(name, arguments, shape)
    given = torch.from_numpy(x)
    parts = kind.torch_parts(layer)
    weights = [read(layer, part, lambda value: value.detach().numpy()) for part in parts]
    count = sum(value.numel() for at, value in layer.named_parameters())
    spared = [slot for part in parts for slot in part.slots if slot.spare or slot.buffer]
    held = sum(attribute(layer, slot.attribute).numel() for slot in spared if slot.spare)
    buffers = {slot.name for slot in spared if slot.buffer}
    own = sum(array.size for one in weights for at, array in one.items() if at not in buffers)
    assert own + held == count
    with torch.no_grad():
        if name == "MultiheadAttention":
            width = (arguments.get("kdim", shape[-1]), arguments.get("vdim", shape[-1]))
            key, value = (torch.from_numpy(x[:, :4, :one].copy()) for one in width)
            output = layer(given, key, value)[0].numpy()
            expected = attend(weights[0], (x, key.numpy(), value.numpy()), parts[0].constants)
            np.testing.assert_allclose(expected, output, rtol=TOLERANCE, atol=TOLERANCE)
            if width[0] != shape[-1]:
                return
            output = layer(given, given, given)[0].numpy()
        elif name in {"RNN", "LSTM", "GRU"}:
            output = layer(given)[0].numpy()
        else:
            output = layer(moved(given, name)).numpy()
            output = np.moveaxis(output, 1, -1) if moved(given, name) is not given else output
    np.testing.assert_allclose(
        composed(kind, parts, weights, x), output, rtol=TOLERANCE, atol=TOLERANCE
    )


def require_keras(keras: Any, name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    """Require that a Keras layer with random weights computes its reference."""
    rng = np.random.default_rng(5)
    layer = getattr(keras.layers, name)(**arguments)
    x = drawn(name, arguments, shape)
    inputs = (x, x) if name == "MultiHeadAttention" else (x,)
    layer(*inputs)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * 0.5)
    kind = kind_of(layer, "keras")
    assert kind is not None
    parts = kind.keras_parts(layer)
    weights = [read(layer, part, keras.ops.convert_to_numpy) for part in parts]
    buffers = {slot.name for part in parts for slot in part.slots if slot.buffer}
    own = sum(array.size for one in weights for at, array in one.items() if at not in buffers)
    assert own == sum(int(np.prod(one.shape)) for one in layer.trainable_variables)
    rates = [arguments.get(rate, 0.0) for rate in ("dropout", "recurrent_dropout")]
    assert [rate for _, rate in parts[0].drops] == [rate for rate in rates if rate > 0]
    training = {"training": True} if name == "BatchNormalization" else {}
    output = keras.ops.convert_to_numpy(layer(*inputs, **training))
    # Keras rounds 1 / sqrt(head_dim), and the root of two in gelu, to float32 before it casts them.
    rounded = name == "MultiHeadAttention" or arguments.get("activation") == "gelu"
    tolerance = 1e-6 if rounded else TOLERANCE
    np.testing.assert_allclose(
        composed(kind, parts, weights, x), output, rtol=tolerance, atol=tolerance
    )


def by_name(name: str) -> Kind:
    """Find the kind of that name."""
    return next(kind for kind in kinds() if kind.name == name)


CONVOLUTION = {"strides": [2, 2], "dilation": [1, 1], "groups": 2}
RECURRENT = {"kernel": 1.0, "recurrent_kernel": 0.7, "bias": 1.0}


def samples() -> Iterator[tuple[str, dict[str, tuple[int, ...]], tuple[int, ...], dict[str, Any]]]:
    """Give each kind's weight shapes, input shape and constants, some kinds more than once."""
    gamma: dict[str, tuple[int, ...]] = {"gamma": (6,), "beta": (6,)}
    yield "Dense", {"kernel": (3, 4), "bias": (4,)}, (2, 3), {"activation": "tanh"}
    for padding in ("same", [[1, 1], [1, 1]], [[1, 0], [0, 0]]):
        yield (
            "Conv",
            {"kernel": (3, 3, 2, 6), "bias": (6,)},
            (2, 8, 8, 4),
            {**CONVOLUTION, "padding": padding, "activation": "tanh"},
        )
    yield (
        "ConvTranspose",
        {"kernel": (3, 3, 3, 4), "bias": (6,)},
        (2, 4, 4, 4),
        {**CONVOLUTION, "padding": [[0, 1], [1, 0]]},
    )
    yield "LayerNorm", gamma, (2, 4, 6), {"epsilon": 0.01, "axes": 1}
    yield "RMSNorm", {"gamma": (6,)}, (2, 4, 6), {"epsilon": 0.01, "axes": 1}
    yield "GroupNorm", gamma, (2, 4, 6), {"epsilon": 0.01, "groups": 2}
    yield "BatchNorm", gamma | {"mean": (6,), "variance": (6,)}, (2, 4, 6), {"epsilon": 0.01}
    yield "PReLU", {"alpha": (6,)}, (2, 4, 6), {}
    yield "Embedding", {"table": (7, 3)}, (2, 4), {}
    for name, gates in (("RNN", 1), ("LSTM", 4), ("GRU", 3)):
        shapes: dict[str, tuple[int, ...]] = {
            "kernel": (3, 5 * gates),
            "recurrent_kernel": (5, 5 * gates),
            "bias": (5 * gates,),
        }
        if name == "GRU":
            shapes["recurrent_bias"] = (5 * gates,)
        yield name, shapes, (2, 4, 3), {"reset_after": True, "activation": "tanh"}
        yield name, shapes, (2, 4, 3), {"reset_after": False, "activation": "relu"}
    projections: dict[str, tuple[int, ...]] = {
        f"{name}_{weight}": shape
        for name in ("query", "key", "value", "output")
        for weight, shape in (("kernel", (6, 6)), ("bias", (6,)))
    }
    yield "MultiHeadAttention", projections, (2, 4, 6), {"heads": 2, "head_dim": 3}


def weights_of(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Draw weights of those shapes; a variance is positive."""
    rng = np.random.default_rng(11)
    return {
        name: rng.uniform(0.5, 2.0, shape) if name == "variance" else rng.normal(size=shape)
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize("name", sorted({one[0] for one in samples()}))
def test_every_variant_differs_from_the_reference_somewhere(name: str) -> None:
    kind = by_name(name)
    assert kind.reference is not None
    same = set(kind.variants)
    for other, shapes, shape, constants in samples():
        if other != name:
            continue
        weights = weights_of(shapes)
        x = drawn(name, {"num_embeddings": 7}, shape)
        before = {at: array.copy() for at, array in weights.items()}
        right = kind.reference(weights, x, constants)
        for sentence, variant in kind.variants.items():
            wrong = variant(weights, x, constants)
            if wrong.shape != right.shape or not np.allclose(wrong, right, atol=1e-12, rtol=1e-9):
                same.discard(sentence)
        for at, array in weights.items():
            np.testing.assert_array_equal(array, before[at])
    assert not same


def test_every_kind_has_variants_or_shares_those_of_its_parts() -> None:
    bare = {"Learned", "SeparableConv"}
    assert {kind.name for kind in kinds() if not kind.variants} == bare
    assert {one[0] for one in samples()} | bare == {kind.name for kind in kinds()}


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_a_batch_of_one_and_more_reads_time_from_axis_one(name: str) -> None:
    kind = by_name(name)
    assert kind.reference is not None
    shapes = next(one[1] for one in samples() if one[0] == name)
    weights, x = weights_of(shapes), drawn(name, {}, (2, 4, 3))
    both = kind.reference(weights, x, {})
    assert both.shape == (2, 4, 5)
    np.testing.assert_allclose(kind.reference(weights, x[:1], {}), both[:1])
    np.testing.assert_allclose(kind.reference(weights, x[:, :2], {}), both[:, :2])


def counted_convolution(
    size: tuple[int, int], kernel: tuple[int, int], channels: tuple[int, int], groups: int
) -> int:
    """Count a convolution's products at stride 1 without padding, one at a time."""
    total = 0
    for _ in product(range(size[0] - kernel[0] + 1), range(size[1] - kernel[1] + 1)):
        for filters in range(channels[1]):
            group = filters // (channels[1] // groups)
            for channel in range(channels[0]):
                if channel // (channels[0] // groups) == group:
                    total += kernel[0] * kernel[1]
    return total


def test_products_are_counted() -> None:
    assert by_name("Dense").macs({"kernel": (3, 4), "bias": (4,)}, {}, (5, 3), (5, 4)) == 60
    conv = by_name("Conv").macs({"kernel": (3, 2, 2, 6)}, {}, (7, 6, 4), (5, 5, 6))
    assert conv == counted_convolution((7, 6), (3, 2), (4, 6), 2)
    # Each of 3 * 4 positions, 4 channels, is spread over 2 * 2 positions of its group's 3 filters.
    transposed = by_name("ConvTranspose").macs({"kernel": (2, 2, 3, 4)}, {}, (3, 4, 4), (6, 8, 6))
    assert transposed == 3 * 4 * 4 * 2 * 2 * 3
    separable = by_name("SeparableConv")
    first = separable.macs({"kernel": (3, 3, 1, 6)}, {}, (6, 6, 3), (4, 4, 5))
    second = separable.macs({"kernel": (1, 1, 6, 5)}, {}, (6, 6, 3), (4, 4, 5))
    assert first == counted_convolution((6, 6), (3, 3), (3, 6), 3)
    assert second == counted_convolution((4, 4), (1, 1), (6, 5), 1)
    lstm = {"kernel": (3, 20), "recurrent_kernel": (5, 20), "bias": (20,)}
    assert by_name("LSTM").macs(lstm, {}, (7, 3), (7, 5)) == 7 * 4 * (3 * 5 + 5 * 5)
    gru = {"kernel": (3, 15), "recurrent_kernel": (5, 15)}
    assert by_name("GRU").macs(gru, {}, (7, 3), (5,)) == 7 * 3 * (3 * 5 + 5 * 5)
    rnn = {"kernel": (3, 5), "recurrent_kernel": (5, 5)}
    assert by_name("RNN").macs(rnn, {}, (7, 3), (5,)) == 7 * (3 * 5 + 5 * 5)
    heads = {f"{name}_kernel": (6, 6) for name in ("query", "key", "value", "output")}
    attention = by_name("MultiHeadAttention")
    constants = {"heads": 2, "head_dim": 3}
    assert attention.macs(heads, constants, (4, 6), (4, 6)) == 4 * 4 * 36 + 2 * 2 * 4 * 4 * 3
    for name in ("BatchNorm", "LayerNorm", "GroupNorm", "RMSNorm", "Embedding", "PReLU", "Learned"):
        assert by_name(name).macs({"gamma": (6,)}, {}, (4, 6), (4, 6)) == 0


@pytest.mark.parametrize("dialect", ["torch", "keras"])
def test_a_kind_is_found_by_its_class_and_by_those_below_it(dialect: str) -> None:
    for kind in kinds():
        for name in getattr(kind, dialect):
            base = type(name, (), {"__module__": f"{dialect}.layers"})
            below = type("Mine", (base,), {"__module__": "mine"})
            stranger = type(name, (), {"__module__": "mine"})
            assert kind_of(base(), dialect) is kind
            assert kind_of(below(), dialect) is kind
            assert kind_of(stranger(), dialect) is None


def test_no_two_kinds_claim_a_class() -> None:
    for dialect in ("torch", "keras"):
        claimed = [name for kind in kinds() for name in getattr(kind, dialect)]
        assert len(claimed) == len(set(claimed))


USERS_KIND = """
from benchmarks.tasks.layers import Kind, Part, Slot

KIND = Kind(
    name={name!r},
    torch=({torch},),
    keras=({torch},),
    torch_parts=lambda layer: (Part(slots=(Slot("gain", "gain"),)),),
    keras_parts=lambda layer: (Part(slots=(Slot("gain", "gain"),)),),
    macs=lambda shapes, constants, given, output: 3,
)
"""


def _users(folder: Path, name: str, *classes: str) -> Path:
    (folder / "layers").mkdir(parents=True, exist_ok=True)
    code = USERS_KIND.format(name=name, torch=", ".join(map(repr, classes)))
    (folder / "layers" / f"{name.lower()}.py").write_text(code)
    return folder


def test_a_users_kinds_lie_in_layers_and_go_before_ours(tmp_path: Path) -> None:
    extra = (_users(tmp_path / "model", "Gain", "Gain"), _users(tmp_path / "all", "Plain", "Dense"))
    (tmp_path / "all" / "layers" / "_shared.py").write_text("raise RuntimeError\n")
    (tmp_path / "all" / "stray.py").write_text("raise RuntimeError\n")
    found = kinds(extra)
    assert [kind.name for kind in found[:2]] == ["Gain", "Plain"]
    assert found[2:] == kinds()
    assert kinds() == tuple(kind for kind in kinds() if kind.name not in {"Gain", "Plain"})
    mine = type("Gain", (), {"__module__": "twinbench_user_models_mine.torch"})
    below = type("More", (mine,), {"__module__": "elsewhere"})
    for dialect in ("torch", "keras"):
        assert kind_of(mine(), dialect, extra) is found[0]
        assert kind_of(below(), dialect, extra) is found[0]
        assert kind_of(mine(), dialect) is None
    theirs = type("Dense", (), {"__module__": "keras.layers"})
    assert kind_of(theirs(), "keras", extra) is found[1]
    assert kind_of(theirs(), "keras") is by_name("Dense")


def test_a_users_class_named_like_one_of_ours_is_not_of_our_kind(tmp_path: Path) -> None:
    extra = (_users(tmp_path / "one", "Gain", "Gain"),)
    mine = type("RMSNorm", (), {"__module__": "twinbench_user_models_mine.torch"})
    assert kind_of(mine(), "torch", extra) is None
    theirs = type("RMSNorm", (), {"__module__": "torch.nn.modules.normalization"})
    assert kind_of(theirs(), "torch", extra) is by_name("RMSNorm")


def test_the_kinds_of_one_users_folder_are_no_others(tmp_path: Path) -> None:
    one = (_users(tmp_path / "one", "Gain", "Gain"),)
    other = (_users(tmp_path / "other", "Lift", "Gain"),)
    mine = type("Gain", (), {"__module__": "mine"})
    assert [k.name for k in (kind_of(mine(), "torch", e) for e in (one, other)) if k] == [
        "Gain",
        "Lift",
    ]


def linear(x: Array) -> Array:
    """Give the array back; its name is what a Keras layer without an activation holds."""
    return x


def tanh(x: Array) -> Array:
    """Stand for Keras' function of that name."""
    return np.asarray(np.tanh(x))


def test_convolutions_that_compute_the_same_have_the_same_constants() -> None:
    conv = by_name("Conv")
    kernel, bias = np.zeros((6, 4, 3, 3)), np.zeros(6)
    torch = SimpleNamespace(
        kernel_size=(3, 3), stride=(1, 1), dilation=(2, 2), groups=1, padding=(2, 2)
    )
    torch.weight, torch.bias, torch.padding_mode = kernel, bias, "zeros"
    keras = SimpleNamespace(
        kernel_size=(3, 3), strides=(1, 1), dilation_rate=(2, 2), groups=1, padding="same"
    )
    keras.kernel, keras.bias, keras.activation = kernel.transpose(2, 3, 1, 0), bias, linear
    (ours,), (theirs,) = conv.torch_parts(torch), conv.keras_parts(keras)
    assert ours.constants == theirs.constants
    assert ours.constants["padding"] == [[2, 2], [2, 2]]
    assert [slot.name for slot in ours.slots] == ["kernel", "bias"]
    keras.strides, keras.activation, keras.bias = (2, 2), tanh, None
    (theirs,) = conv.keras_parts(keras)
    assert theirs.constants["padding"] == "same"
    assert theirs.constants["activation"] == "tanh"
    assert [slot.name for slot in theirs.slots] == ["kernel"]


def test_momentum_has_keras_sense() -> None:
    layer = SimpleNamespace(eps=1e-3, momentum=0.01)
    (part,) = by_name("BatchNorm").torch_parts(layer)
    assert part.constants == {"epsilon": 1e-3, "momentum": 0.99}
    layer.momentum = None
    assert by_name("BatchNorm").torch_parts(layer)[0].constants["momentum"] is None


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_an_rms_normalization_without_epsilon_takes_the_dtypes(dtype: str) -> None:
    weight = SimpleNamespace(dtype=f"torch.{dtype}")
    layer = SimpleNamespace(eps=None, weight=weight, normalized_shape=(3,))
    (part,) = by_name("RMSNorm").torch_parts(layer)
    assert part.constants["epsilon"] == float(np.finfo(dtype).eps)


def test_a_stacked_layer_has_a_part_for_each_layer_and_direction() -> None:
    layer = SimpleNamespace(
        num_layers=2, bidirectional=True, dropout=0.3, hidden_size=4, batch_first=False
    )
    for end in ("l0", "l0_reverse", "l1", "l1_reverse"):
        for weight in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(layer, f"{weight}_{end}", np.zeros(1))
    parts = by_name("LSTM").torch_parts(layer)
    assert [part.suffix for part in parts] == ["0", "0.reverse", "1", "1.reverse"]
    assert [part.drops for part in parts] == [(("dropout", 0.3),)] * 2 + [()] * 2
    assert [part.constants["go_backwards"] for part in parts] == [False, True] * 2
    spare = [slot.attribute for part in parts for slot in part.slots if slot.spare]
    assert spare == ["bias_hh_l0", "bias_hh_l0_reverse", "bias_hh_l1", "bias_hh_l1_reverse"]
    assert not [slot for slot in by_name("GRU").torch_parts(layer)[0].slots if slot.spare]
    layer.num_layers, layer.bidirectional = 1, False
    (part,) = by_name("GRU").torch_parts(layer)
    assert (part.suffix, part.drops, part.constants["reset_after"]) == ("", (), True)
