"""Moves weights of our Keras twins into public definitions, and tells how far outputs are apart.

As a program, for each model that an argument names, it builds our Keras twin and what
``keras.applications`` gives, both in float64 on TensorFlow and on an image of a few pixels, and
writes a line of JSON to stdout: for each model ``shipped``, the relative L2 difference of the
outputs of the definition as it is, and ``changed``, that of the definition with what ``CHANGES``
says. Statistics of normalisations are drawn, too, and both models infer.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import prod, sqrt
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.proof.compare import relative_error
from benchmarks.request import discovery

DEFINITIONS = Path(__file__).parent.parent / "benchmarks" / "selfcheck" / "definitions"
PIXELS = 1 / float(np.float32(1 / 255))
"""255, but that Keras' ``Rescaling`` keeps 1 / 255 in float32 in float64, too."""
PROCESSING = {"mean", "variance", "count"}
"""Weights of a layer that prepares pixels; without statistics of its own it changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What makes a definition our twin's function.

    ``side`` is of the image, ``epsilon`` that of every batch normalisation, ``times`` what the
    definition's input is multiplied by. ``lacking`` is the name of the weights that one of both
    lacks: there they are as they start, which changes nothing. ``within`` is for building the
    changed definition in, ``edit`` changes one that is built, and ``order`` sorts its weights by
    their paths where the branches of a block come in another order than ours.
    """

    side: int
    epsilon: float | None = None
    times: float = 1.0
    lacking: str = ""
    within: Callable[[], AbstractContextManager[object]] = nullcontext
    edit: Callable[[Any], None] = lambda _: None
    order: Callable[[str], str] = lambda _: ""


def _padding_counts() -> AbstractContextManager[object]:
    """Within it, means of maps that are padded count the padding."""
    from keras import layers

    mean = layers.AveragePooling2D

    def counting(size: tuple[int, int], strides: tuple[int, int], padding: str) -> Any:
        assert padding == "same"
        pad, pool = layers.ZeroPadding2D(size[0] // 2), mean(size, strides=strides)
        return lambda x: pool(pad(x))

    return mock.patch("keras.src.layers.AveragePooling2D", counting)


def _shortcut_last(path: str) -> str:
    """A path of a weight of ResNet, so that a block's shortcut sorts behind its convolutions."""
    return path.replace("_0_", "_9_")


def _strides_later(model: Any) -> None:
    """Have the 3x3 convolution of a block stride, where the first 1x1 does."""
    for layer in model.layers:
        if layer.name.endswith("_block1_1_conv"):
            after = model.get_layer(layer.name.replace("_1_conv", "_2_conv"))
            layer.strides, after.strides = after.strides, layer.strides


CHANGES = {
    "vgg16": Change(side=32),
    "xception": Change(side=71),
    "convnext_tiny": Change(side=32),
    "densenet121": Change(side=32, epsilon=1e-5),
    "efficientnet_b0": Change(side=65, epsilon=1e-5, times=PIXELS),
    "mobilenet_v2": Change(side=65, epsilon=1e-5),
    "inception_v3": Change(side=75, lacking="gamma", within=_padding_counts),
    "resnet50": Change(
        side=65, epsilon=1e-5, lacking="bias", edit=_strides_later, order=_shortcut_last
    ),
}
SHIPPED = {"efficientnet_b0": 64, "mobilenet_v2": 64}
"""Sides of images on which a definition as it is is tried, where it is another: an even one."""


def _name(weight: Any) -> str:
    """What our twins call a weight: one without a name is the scale of a block of ConvNeXt."""
    name = str(weight.name)
    if name.startswith("variable"):
        return "gamma"
    return "kernel" if name.endswith("_kernel") else name


def _slots(
    model: Any, order: Callable[[str], str] = lambda _: ""
) -> dict[tuple[str, tuple[int, ...]], list[Any]]:
    """The weights of a model in the order of its layers or the one given, by name and shape.

    The kernel of a depthwise convolution is (rows, columns, channels, 1), of a grouped one (rows,
    columns, 1, channels); its key has no 1.
    """
    found: dict[tuple[str, tuple[int, ...]], list[Any]] = {}
    for weight in sorted(model.weights, key=lambda one: order(one.path)):
        name = _name(weight)
        if name not in PROCESSING:
            held = tuple(weight.shape)
            shape = (*held[:-2], *(n for n in held[-2:] if n != 1))
            found.setdefault((name, shape), []).append(weight)
    return found


def move(ours: Any, public: Any, change: Change) -> None:
    """Give a definition the weights of our twin, which are of one order within name and shape."""
    mine, theirs = _slots(ours), _slots(public, change.order)
    for name, shape in dict.fromkeys([*mine, *theirs]):
        here, there = mine.get((name, shape), []), theirs.get((name, shape), [])
        if name == change.lacking and not (here and there):
            continue
        assert len(here) == len(there), f"{name} {shape}: {len(here)} here, {len(there)} there"
        for weight, other in zip(here, there, strict=True):
            other.assign(np.reshape(weight.numpy(), other.shape))


def _drawn(model: Any, lacking: str) -> Any:
    """The model with weights of a seed: kernels as He et al. 2015, vectors moved from their start.

    One that stays at 0 or 1 would hide a slip, and small kernels would hide the image.
    """
    rng = np.random.default_rng(0)
    for weight in model.weights:
        normal = rng.standard_normal(weight.shape)
        if len(weight.shape) > 1:
            depthwise = weight.shape[-1] == 1
            weight.assign(normal * sqrt(2 / prod(weight.shape[: -2 if depthwise else -1])))
        elif weight.name != lacking:
            weight.assign(weight.numpy() + 0.1 * normal)
    return model


def _built(name: str, side: int, folder: Path | None = None) -> Any:
    """Our twin of a model, or the one of a folder, for images of a side, in its published size."""
    task = discovery.imported(name).at({"image": (side, side, 3)})
    return discovery.twin(name, "keras", folder).build(task)


def _apart(name: str, side: int, change: Change, *, changed: bool) -> float:
    """The relative L2 difference of the outputs of our twin and of the definition."""
    import keras

    keras.utils.set_random_seed(0)
    ours = _drawn(_built(name, side), change.lacking)
    with change.within() if changed else nullcontext():
        public = _built(name, side, DEFINITIONS)
    for layer in public.layers if changed and change.epsilon else ():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.epsilon = change.epsilon
    if changed:
        change.edit(public)
    move(ours, public, change)
    x = np.random.default_rng(0).standard_normal((2, side, side, 3))
    given = x * change.times if changed else x
    return relative_error(np.asarray(ours(x)), np.asarray(public(given)))


def compared(names: list[str]) -> Iterator[tuple[str, dict[str, float]]]:
    """Each model with how far its definition is from our twin, as it is and changed."""
    for name in names:
        change = CHANGES[name]
        shipped = _apart(name, SHIPPED.get(name, change.side), change, changed=False)
        changed = _apart(name, change.side, change, changed=True)
        yield name, {"shipped": shipped, "changed": changed}


if __name__ == "__main__":
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import keras as _keras

    _keras.config.set_floatx("float64")
    sys.stdout.write(json.dumps(dict(compared(sys.argv[1:]))) + "\n")
