"""Real data sets in NumPy, equal for every stack.

Frameworks ship loaders of their own; using those would feed different numbers, or download. Here
every stack gets the same bytes in the same order, from files already present.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import isqrt, prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.data.idx import DataError, locate, read_labelled
from benchmarks.tasks.task import Input

LEVELS = 16  # the brightest token: both data sets become sequences of the same small alphabet
TRAIN_SHARE = 0.8

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Samples in the order in which every stack reads them, training and test apart.

    ``x`` is uint8 images (n, height, width, channels) or features (n, values), both to be divided
    by ``scale`` to reach [0, 1], or int32 tokens (n, length) with a scale of 1. ``y`` is (n,) int64
    below ``classes``.
    """

    name: str
    x_train: NDArray[Any]
    y_train: Labels
    x_test: NDArray[Any]
    y_test: Labels
    classes: int
    scale: float


def order(count: int, seed: int) -> NDArray[np.int64]:
    """The shuffled order of ``count`` samples that all stacks share."""
    return np.random.default_rng(seed).permutation(count)


def load(name: str, data_dir: Path | None = None, seed: int = 0) -> Dataset:
    """A real data set, shuffled by the seed; nothing is ever downloaded.

    ``digits`` comes with scikit-learn (1,797 images of 8x8, split 80:20 within each class);
    ``fashion-mnist`` is read from IDX files in ``data_dir`` or where Debian puts them (Xiao, Rasul,
    Vollgraf: Fashion-MNIST, 2017).

    Raises:
        DataError: the name is unknown, or a file is missing, damaged or inconsistent.
    """
    if name not in _SOURCES:
        raise DataError(f"unknown data set {name!r}: choose from {', '.join(NAMES)}")
    return _SOURCES[name](data_dir, seed)


def available(data_dir: Path | None = None) -> dict[str, str | None]:
    """Every data set's name, with ``None`` where it can be loaded or else the reason.

    Only existence is looked at: nothing is imported or read.
    """
    reasons: dict[str, str | None] = dict.fromkeys(NAMES)
    if find_spec("sklearn") is None:
        reasons["digits"] = "scikit-learn is not installed"
    try:
        locate(data_dir)
    except DataError as error:
        reasons["fashion-mnist"] = str(error)
    return reasons


def first(dataset: Dataset, train: int | None, test: int | None) -> Dataset:
    """The first samples of each part; ``None`` keeps all.

    Raises:
        DataError: more samples are asked for than there are, or fewer than one.
    """
    for part, asked, held in (
        ("training", train, len(dataset.y_train)),
        ("test", test, len(dataset.y_test)),
    ):
        if asked is not None and not 1 <= asked <= held:
            raise DataError(f"{dataset.name}: {asked} {part} samples asked for, 1 to {held} exist")
    return replace(
        dataset,
        x_train=dataset.x_train[:train],
        y_train=dataset.y_train[:train],
        x_test=dataset.x_test[:test],
        y_test=dataset.y_test[:test],
    )


def fit_to(dataset: Dataset, one: Input) -> Dataset:
    """The data set's images in the shape of a model's input.

    ``image``: enlarged by the largest whole factor that fits, then padded with zeros or cropped
    around the centre; one channel is repeated. ``features``: the same to a square, then flattened.
    ``tokens``: the pixels row by row as levels 0 to 16, padded with 0 or cut to the length.

    Every sample is copied, and a large input shape makes large samples: ``take`` first.

    Raises:
        DataError: the kind is unknown, or the images cannot take that shape.
    """
    if one.kind == "image":
        height, width, channels = one.shape
        return _mapped(dataset, lambda x: _resized(x, height, width, channels), dataset.scale)
    if one.kind == "features":
        values = prod(one.shape)
        channels = dataset.x_train.shape[-1]
        side = isqrt(values // channels)
        if side * side * channels != values:
            raise DataError(f"{dataset.name}: {values} features are not a square image")
        flat = (-1, *one.shape)
        return _mapped(
            dataset, lambda x: _resized(x, side, side, channels).reshape(flat), dataset.scale
        )
    if one.kind == "tokens":
        (length,) = one.shape
        if one.vocabulary <= LEVELS:
            raise DataError(
                f"{dataset.name}: its {LEVELS + 1} levels need a vocabulary above {LEVELS}, "
                f"not {one.vocabulary}"
            )
        return _mapped(dataset, lambda x: _tokens(x, dataset.scale, length), 1.0)
    raise DataError(f"{dataset.name}: its images are no {one.kind}: image, features or tokens")


def _mapped(
    dataset: Dataset, shape: Callable[[NDArray[Any]], NDArray[Any]], scale: float
) -> Dataset:
    x_train, x_test = shape(dataset.x_train), shape(dataset.x_test)
    return replace(dataset, x_train=x_train, x_test=x_test, scale=scale)


def _resized(images: Images, height: int, width: int, channels: int) -> Images:
    _, rows, columns, planes = images.shape
    if planes not in {1, channels}:
        raise DataError(f"images of {planes} channels cannot become images of {channels}")
    factor = max(1, min(height // rows, width // columns))
    images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    images = _centred(_centred(images, 1, height), 2, width)
    return images.repeat(channels // planes, axis=3)


def _centred(images: Images, axis: int, length: int) -> Images:
    missing = length - images.shape[axis]
    if missing < 0:
        start = -missing // 2
        window = [slice(None)] * images.ndim
        window[axis] = slice(start, start + length)
        return images[tuple(window)]
    margins = [(0, 0)] * images.ndim
    margins[axis] = (missing // 2, missing - missing // 2)
    return np.pad(images, margins)


def _tokens(images: Images, scale: float, length: int) -> NDArray[np.int32]:
    pixels = images.reshape(len(images), -1)[:, :length].astype(np.int32)
    levels = pixels * LEVELS // int(scale)
    return np.pad(levels, ((0, 0), (0, length - levels.shape[1])))


def _digits(_data_dir: Path | None, seed: int) -> Dataset:
    if find_spec("sklearn") is None:
        raise DataError("the data set digits needs scikit-learn, which is not installed")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = bunch.images.astype(np.uint8)[..., np.newaxis]
    y = bunch.target.astype(np.int64)
    shuffled = order(len(y), seed)
    in_train = np.zeros(len(y), bool)
    for label in np.unique(y):
        members = shuffled[y[shuffled] == label]
        in_train[members[: round(TRAIN_SHARE * len(members))]] = True
    train, test = shuffled[in_train[shuffled]], shuffled[~in_train[shuffled]]
    return Dataset(
        name="digits",
        x_train=x[train],
        y_train=y[train],
        x_test=x[test],
        y_test=y[test],
        classes=10,
        scale=16.0,
    )


def _fashion_mnist(data_dir: Path | None, seed: int) -> Dataset:
    train_images, train_labels, test_images, test_labels = locate(data_dir)
    x_train, y_train = _shuffled(*read_labelled(train_images, train_labels), seed)
    x_test, y_test = _shuffled(*read_labelled(test_images, test_labels), seed)
    return Dataset(
        name="fashion-mnist",
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        classes=10,
        scale=255.0,
    )


def _shuffled(x: Images, y: Images, seed: int) -> tuple[Images, Labels]:
    shuffled = order(len(y), seed)
    return x[shuffled][..., np.newaxis], y[shuffled].astype(np.int64)


_SOURCES: dict[str, Callable[[Path | None, int], Dataset]] = {
    "digits": _digits,
    "fashion-mnist": _fashion_mnist,
}
NAMES = tuple(_SOURCES)
