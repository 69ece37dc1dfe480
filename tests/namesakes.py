"""What public models of one name compute apart: each row of ``docs/namesakes.md``, by operations.

As a program it writes a line of JSON to stdout: for each row ``apart``, the relative L2 difference
of what PyTorch and Keras on TensorFlow make of the same numbers as the two definitions have it, and
``together``, that with the one change that the row names. All of it is in float64.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.proof.compare import relative_error

Array = NDArray[np.float64]
Row = tuple[tuple[Any, Any], tuple[Any, Any]]
"""What PyTorch and Keras give: as they are defined, and with the change."""
RNG = np.random.default_rng(0)
CHANNELS = 4


def drawn(*shape: int) -> Array:
    """Standard normal values."""
    return np.asarray(RNG.standard_normal(shape))


def maps(side: int, channels: int = CHANNELS) -> Array:
    """Two maps, channels last."""
    return drawn(2, side, side, channels)


def first(x: Array) -> Any:
    """Maps as PyTorch takes them."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def last(x: Any) -> Array:
    """Maps of PyTorch, channels last."""
    return np.moveaxis(x.detach().numpy(), 1, -1)


def loaded(layer: Any, x: Any, *weights: Array) -> Any:
    """A Keras layer, built for what it is given, with weights."""
    layer.build(x.shape)
    layer.set_weights(list(weights))
    return layer


def conv(kernel: Array, x: Any, **told: Any) -> Any:
    """A convolution of Keras without bias, by a kernel (rows, columns, in, out)."""
    from keras import layers

    layer = layers.Conv2D(kernel.shape[-1], kernel.shape[:2], use_bias=False, **told)
    return loaded(layer, x, kernel)(x)


def torch_conv(kernel: Array, x: Any, **told: Any) -> Any:
    """The same of PyTorch."""
    from torch.nn import functional

    weight = first(np.moveaxis(kernel, -1, 0))
    return functional.conv2d(x, weight, **told)


def stride_of_resnet() -> Row:
    """A bottleneck's first two convolutions: version 1.5 strides in the 3x3, version 1 before."""
    from keras import layers

    x, one, three = maps(8), drawn(1, 1, CHANNELS, CHANNELS), drawn(3, 3, CHANNELS, CHANNELS)
    theirs = last(torch_conv(three, torch_conv(one, first(x)), stride=2, padding=1))
    keras = conv(three, conv(one, x, strides=2), padding="same")
    padded = layers.ZeroPadding2D(1)(conv(one, x))
    return (theirs, keras), (theirs, conv(three, padded, strides=2))


def padding_at_stride_2() -> Row:
    """A depthwise 3x3 convolution with stride 2, of an even side, and of an odd one."""
    from keras import layers

    def both(side: int) -> tuple[Any, Any]:
        x, kernel = maps(side), drawn(3, 3, CHANNELS, 1)
        layer = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)
        grouped = kernel.transpose(0, 1, 3, 2)
        theirs = torch_conv(grouped, first(x), stride=2, padding=1, groups=CHANNELS)
        return last(theirs), loaded(layer, x, kernel)(x)

    return both(8), both(9)


def mean_of_inception() -> Row:
    """The mean of 3x3 at the edge of a map, with and without the zeros around it."""
    from keras import layers
    from torch.nn import functional

    x = maps(8)
    keras = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    theirs = functional.avg_pool2d(first(x), 3, 1, 1)
    changed = functional.avg_pool2d(first(x), 3, 1, 1, count_include_pad=False)
    return (last(theirs), keras), (last(changed), keras)


def _epsilon(epsilon: float) -> Row:
    import torch
    from keras import layers

    x, *scales = maps(8), drawn(CHANNELS), drawn(CHANNELS), drawn(CHANNELS)
    scales.append(RNG.uniform(0.5, 1.5, CHANNELS))

    def keras(epsilon: float) -> Any:
        return loaded(layers.BatchNormalization(epsilon=epsilon), x, *scales)(x)

    norm = torch.nn.BatchNorm2d(CHANNELS).eval()  # its epsilon is 1e-5
    held = (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var)
    for slot, scale in zip(held, scales, strict=True):
        slot.copy_(torch.from_numpy(scale))
    theirs = last(norm(first(x)))
    return (theirs, keras(epsilon)), (theirs, keras(1e-5))


def epsilon_of_mobilenet() -> Row:
    """Batch normalisation where a model infers, epsilon 1e-3 against 1e-5."""
    return _epsilon(1e-3)


def epsilon_of_densenet() -> Row:
    """The same, epsilon 1.001e-5 against 1e-5."""
    return _epsilon(1.001e-5)


def momentum() -> Row:
    """The running mean after one step of training, Keras' 0.99 against PyTorch's 1 - 0.1."""
    import torch
    from keras import layers

    x = maps(8) + 1.0
    norm = torch.nn.BatchNorm2d(CHANNELS)
    norm(first(x))
    theirs = norm.running_mean

    def keras(momentum: float) -> Any:
        layer = layers.BatchNormalization(momentum=momentum)
        layer(x, training=True)
        return layer.moving_mean

    return (theirs, keras(0.99)), (theirs, keras(0.9))


def gelu_of_bert() -> Row:
    """GELU by erf against by tanh."""
    import keras
    import torch
    from torch.nn import functional

    x = drawn(2, 16, 8)
    theirs = functional.gelu(torch.from_numpy(x))
    changed = functional.gelu(torch.from_numpy(x), approximate="tanh")
    tanh = keras.activations.gelu(x, approximate=True)
    return (theirs, tanh), (changed, tanh)


def epsilon_of_layer_norm() -> Row:
    """Layer normalisation as either constructs it, epsilon 1e-5 against 1e-3."""
    import torch
    from keras import layers

    x = drawn(2, 16, 8)
    theirs = torch.nn.LayerNorm(8)(torch.from_numpy(x)).detach()
    keras = layers.LayerNormalization()(x)
    return (theirs, keras), (theirs, layers.LayerNormalization(epsilon=1e-5)(x))


def reset_of_gru() -> Row:
    """A GRU that resets the state behind its product with the kernel, against before it."""
    import torch
    from keras import layers

    x, units = drawn(2, 5, 3), 4
    kernel, recurrent, bias = drawn(3, 3 * units), drawn(units, 3 * units), drawn(3 * units)
    layer = torch.nn.GRU(3, units, batch_first=True)

    def ordered(held: Array) -> Any:  # Keras: update, reset, new; PyTorch: reset, update, new
        update, reset, new = np.split(held.T, 3)
        return torch.from_numpy(np.concatenate([reset, update, new]))

    with torch.no_grad():
        for slot, held in (("weight_ih", kernel), ("weight_hh", recurrent), ("bias_ih", bias)):
            getattr(layer, f"{slot}_l0").copy_(ordered(held))
        layer.bias_hh_l0.zero_()
        theirs = layer(torch.from_numpy(x))[0]
    before = loaded(
        layers.GRU(units, return_sequences=True, reset_after=False), x, kernel, recurrent, bias
    )
    after = loaded(
        layers.GRU(units, return_sequences=True),
        *(x, kernel, recurrent, np.stack([bias, 0 * bias])),
    )
    return (theirs, before(x)), (theirs, after(x))


def mask_of_attention() -> Row:
    """One boolean mask of attention: what is true is left out, against is attended to."""
    import torch
    from keras import layers

    steps, width = 6, 4
    x, allowed = drawn(2, steps, width), RNG.random((steps, steps)) < 0.5
    np.fill_diagonal(allowed, val=True)
    np.fill_diagonal(allowed[:, ::-1], val=False)
    layer = torch.nn.MultiheadAttention(width, 1, batch_first=True)
    same = torch.eye(width)
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.cat([same, same, same]))
        layer.out_proj.weight.copy_(same)

    def theirs(mask: NDArray[np.bool_]) -> Any:
        given = torch.from_numpy(x)
        told = torch.from_numpy(mask)
        return layer(given, given, given, attn_mask=told, need_weights=False)[0].detach()

    keras = layers.MultiHeadAttention(1, width, use_bias=False)
    keras.build(x.shape, x.shape)
    unit = np.eye(width)
    keras.set_weights([unit[:, None], unit[:, None], unit[:, None], unit[None]])
    made = keras(x, x, attention_mask=np.stack([allowed, allowed]))
    return (theirs(allowed), made), (theirs(~allowed), made)


def flatten_of_vgg() -> Row:
    """A map flattened in front of a dense layer, channels first against last."""
    import torch
    from keras import layers

    side, units = 3, 5
    x, kernel = maps(side), drawn(side * side * CHANNELS, units)
    keras = loaded(layers.Dense(units, use_bias=False), drawn(1, len(kernel)), kernel)
    made = keras(layers.Flatten()(x))

    def theirs(held: Array) -> Any:
        return first(x).flatten(1) @ torch.from_numpy(np.ascontiguousarray(held))

    by_channel = kernel.reshape(side * side, CHANNELS, units).swapaxes(0, 1)
    return (theirs(kernel), made), (theirs(by_channel.reshape(-1, units)), made)


def pixels_of_efficientnet() -> Row:
    """Pixels of 0 to 255, which one model divides by 255 within."""
    import torch
    from keras import layers

    x = RNG.uniform(0, 255, (2, 8, 8, 3))
    keras = layers.Rescaling(1 / 255)(x)
    # Keras keeps the factor in float32 in float64, too.
    return (torch.from_numpy(x), keras), (torch.from_numpy(x) * float(np.float32(1 / 255)), keras)


def pixels_of_vgg() -> Row:
    """Pixels of 0 to 255 as either library prepares them."""
    import torch
    from keras.applications import imagenet_utils

    x = RNG.uniform(0, 255, (2, 8, 8, 3))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    theirs = (torch.from_numpy(x) / 255 - mean) / deviation
    caffe = imagenet_utils.preprocess_input(x.copy(), mode="caffe")
    same = imagenet_utils.preprocess_input(x.copy(), mode="torch")
    return (theirs, caffe), (theirs, same)


def end_of_classifiers() -> Row:
    """What a classifier gives: logits, against probabilities."""
    import torch
    from keras import layers

    x, kernel, bias = drawn(2, 8), drawn(8, 10), drawn(10)
    theirs = torch.from_numpy(x) @ torch.from_numpy(kernel) + torch.from_numpy(bias)

    def keras(activation: str | None) -> Any:
        return loaded(layers.Dense(10, activation=activation), x, kernel, bias)(x)

    return (theirs, keras("softmax")), (theirs, keras(None))


ROWS: tuple[Callable[[], Row], ...] = (
    stride_of_resnet,
    padding_at_stride_2,
    mean_of_inception,
    epsilon_of_mobilenet,
    epsilon_of_densenet,
    momentum,
    flatten_of_vgg,
    pixels_of_efficientnet,
    pixels_of_vgg,
    end_of_classifiers,
    gelu_of_bert,
    epsilon_of_layer_norm,
    reset_of_gru,
    mask_of_attention,
)
"""In the order of the page."""


def measured() -> dict[str, dict[str, float]]:
    """Each row with how far both are apart, as they are defined and with the change."""
    found = {}
    for row in ROWS:
        apart, together = row()
        errors = (relative_error(np.asarray(a), np.asarray(b)) for a, b in (apart, together))
        found[row.__name__] = dict(zip(("apart", "together"), errors, strict=True))
    return found


if __name__ == "__main__":
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import keras as _keras
    import torch as _torch

    _keras.config.set_floatx("float64")
    _torch.set_default_dtype(_torch.float64)
    sys.stdout.write(json.dumps(measured()) + "\n")
