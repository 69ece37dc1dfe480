"""What detectors share, in Keras' operations, which every engine has."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, config, layers, ops

from benchmarks.models._resnet import STAGES
from benchmarks.models._resnet.keras import stages
from benchmarks.models.detection._shared import (
    CANONICAL,
    CLOSE,
    FINEST,
    LARGEST,
    LAST,
    LEVEL,
    NEITHER,
    POINTS,
)
from benchmarks.models.detection._shared.anchors import starts


def overlap(a: Any, b: Any) -> Any:
    """Intersection over union of all boxes (..., i, 4) with all (..., j, 4): (..., i, j)."""
    a, b = a[..., :, None, :], b[..., None, :, :]
    wide = ops.minimum(a[..., 2], b[..., 2]) - ops.maximum(a[..., 0], b[..., 0])
    high = ops.minimum(a[..., 3], b[..., 3]) - ops.maximum(a[..., 1], b[..., 1])
    common = ops.maximum(wide, 0.0) * ops.maximum(high, 0.0)
    areas = ops.prod(a[..., 2:] - a[..., :2], axis=-1)
    areas = areas + ops.prod(b[..., 2:] - b[..., :2], axis=-1)
    return common / ops.maximum(areas - common, 1e-12)


def encoded(boxes: Any, anchors: Any, weights: tuple[float, float]) -> Any:
    """Boxes (..., 4) as seen from anchors (..., 4): centres and sizes, times their weights.

    Centres are apart by shares of the anchor's size, sizes by the logarithm of their ratio.
    """
    size, own = boxes[..., 2:] - boxes[..., :2], anchors[..., 2:] - anchors[..., :2]
    apart = (boxes[..., 2:] + boxes[..., :2] - anchors[..., 2:] - anchors[..., :2]) / 2
    at_size = weights[1] * ops.log(size / own)
    return ops.concatenate([weights[0] * apart / own, at_size], axis=-1)


def decoded(codes: Any, anchors: Any, weights: tuple[float, float]) -> Any:
    """The boxes that ``encoded`` gives these codes; none is larger than ``LARGEST`` anchors."""
    own = anchors[..., 2:] - anchors[..., :2]
    centre = (anchors[..., 2:] + anchors[..., :2]) / 2 + codes[..., :2] / weights[0] * own
    half = ops.exp(ops.minimum(codes[..., 2:] / weights[1], math.log(LARGEST))) * own / 2
    return ops.concatenate([centre - half, centre + half], axis=-1)


def shares(boxes: Any, there: Any, anchors: Any) -> Any:
    """The overlap (n, m, anchors) of objects with anchors (anchors, 4) or (n, anchors, 4).

    -1 for an object that is not there, by the mask (n, m).
    """
    return ops.where(there[..., None], overlap(boxes, anchors), -1.0)


def assigned(found: Any, low: float, high: float) -> Any:
    """The object (n, anchors) that each anchor overlaps most, of overlaps (n, m, anchors).

    -1 where that is less than ``low``, ``NEITHER`` where it is less than ``high``.
    """
    best, objects = ops.max(found, axis=1), ops.cast(ops.argmax(found, axis=1), "int32")
    objects = ops.where(best < high, NEITHER, objects)
    return ops.where(best < low, -1, objects)


def last_of(is_of: Any) -> Any:
    """The last object (n, anchors) of those that anchors are given to (n, m, anchors), else -1."""
    number = ops.arange(1, is_of.shape[1] + 1, dtype="int32")
    return ops.max(ops.cast(is_of, "int32") * number[:, None], axis=1) - 1


def first_best(shares: Any) -> Any:
    """Along the last axis, the first index of those within ``CLOSE`` of the largest."""
    best = ops.max(shares, axis=-1, keepdims=True)
    return ops.argmax(ops.cast(shares >= best - CLOSE, "int32"), axis=-1)


def at(table: Any, index: Any) -> Any:
    """The rows (n, k, ...) of tables (n, m, ...) that indices (n, k) name; the first one for -1."""
    index = ops.maximum(index, 0)
    if len(table.shape) > len(index.shape):
        index = index[..., None]
    return ops.take_along_axis(table, index, axis=1)


def greedy(boxes: Any, there: Any, limit: float, kinds: Any = None) -> Any:
    """Which of boxes (..., k, 4), the best first, non-maximum suppression keeps: (..., k).

    A box goes where one before it that is kept overlaps it by more than ``limit`` and is of the
    same kind. That has one solution, which is found by repeating it until nothing changes.
    """
    place = ops.arange(boxes.shape[-2])
    clash = (overlap(boxes, boxes) > limit) & (place[:, None] < place) & there[..., :, None]
    if kinds is not None:
        clash = clash & (kinds[..., :, None] == kinds[..., None, :])

    def differ(keep: Any, before: Any) -> Any:
        return ops.any(keep != before)

    def again(keep: Any, before: Any) -> tuple[Any, Any]:
        del before
        return there & ~ops.any(clash & keep[..., :, None], axis=-2), keep

    keep, _ = ops.while_loop(differ, again, (there, ops.zeros_like(there)))
    return keep


def restored(found: Any, objects: Any) -> Any:
    """What is ``assigned`` to anchors, and to those that an object overlaps most, whatever that is.

    They answer for the object that they overlap most themselves.
    """
    best = ops.max(found, axis=2, keepdims=True)
    most = (found >= best - CLOSE) & (best > 0)
    own = ops.cast(ops.argmax(found, axis=1), objects.dtype)
    return ops.where(ops.any(most, axis=1), own, objects)


def strongest(scores: Any, floor: float, most: int) -> tuple[Any, Any]:
    """The largest of scores (..., k) above ``floor``, and their indices: (..., most) each.

    Where there are fewer, the scores are 0 and the indices -1.
    """
    above = ops.where(scores > floor, scores, ops.zeros_like(scores))
    held, index = ops.top_k(above, min(most, scores.shape[-1]))
    return held, ops.where(held > 0, ops.cast(index, "int32"), -1)


def listed(boxes: Any, scores: Any, classes: Any, anchors: Any, most: int) -> dict[str, Any]:
    """The detections of the highest scores of (n, k), those of score 0 left out: (n, most) each.

    ``boxes`` (n, most, 4), ``scores``, ``classes``, and ``kept``: the anchor of each.
    """
    held, index = strongest(scores, 0.0, most)
    there = index >= 0
    return {
        "boxes": ops.where(there[..., None], at(boxes, index), 0.0),
        "scores": held,
        "classes": ops.where(there, at(classes, index), -1),
        "kept": ops.where(there, at(anchors, index), -1),
    }


def detected(
    boxes: Any,
    scores: Any,
    levels: Sequence[int],
    *,
    floor: float,
    candidates: int,
    limit: float,
    most: int,
) -> dict[str, Any]:
    """As ``listed``: the best of boxes (n, anchors, 4) by their scores (n, anchors, classes).

    Of each of the ``levels``, which have so many anchors, those are looked at whose scores are
    among the highest ``candidates`` and above ``floor``; of two of a class that overlap by more
    than ``limit``, the lower goes.
    """
    many, pairs, images = scores.shape[-1], [], ops.shape(scores)[0]
    for size, first in zip(levels, starts(levels), strict=True):
        part = ops.reshape(scores[:, first : first + size], (images, size * many))
        held, index = strongest(part, floor, candidates)
        pairs.append((held, ops.where(index >= 0, index + first * many, -1)))
    held, index = (ops.concatenate(parts, axis=1) for parts in zip(*pairs, strict=True))
    held, order = ops.top_k(held, held.shape[1])
    index = at(index, ops.cast(order, index.dtype))
    anchors, classes = index // many, index % many
    found = at(boxes, anchors)
    keep = greedy(found, index >= 0, limit, classes)
    return listed(found, held * ops.cast(keep, held.dtype), classes, anchors, most)


def sampled(positive: Any, negative: Any, key: Any, most: int, first: int) -> tuple[Any, Any]:
    """Which of the positive and of the negative ones (n, k) are taken, those of the lowest keys.

    At most ``first`` positive ones, and ``most`` together.
    """

    def rank(those: Any) -> Any:
        keys = ops.where(those, ops.cast(key, "int32"), LAST)
        return ops.cast(ops.argsort(ops.argsort(keys, axis=1), axis=1), "int32")

    taken = positive & (rank(positive) < first)
    left = most - ops.sum(ops.cast(taken, "int32"), axis=1, keepdims=True)
    return taken, negative & (rank(negative) < left)


def aligned(maps: Sequence[Any], regions: Any, side: int) -> Any:
    """The features (n, regions, 7 * 7 * channels) of regions (n, regions, 4) in their maps.

    He et al.: Mask R-CNN, 2017, as in torchvision: each of 7 x 7 bins is the mean of four points
    between pixels, not shifted by half a pixel; a region is taken from the map of its size.
    """
    images, channels = ops.shape(regions)[0], maps[0].shape[-1]
    lists = [ops.reshape(one, (images, -1, channels)) for one in maps]
    sides = [one.shape[1] for one in maps]
    pixels, dtype = [s * s for s in sides], regions.dtype
    size = regions[..., 2:] - regions[..., :2]
    levels = LEVEL + ops.log2(ops.sqrt(ops.prod(size, axis=-1)) * side / CANONICAL) + CLOSE
    levels = ops.clip(ops.floor(levels), FINEST, FINEST + len(sides) - 1) - FINEST
    level = ops.cast(levels, "int32")
    whole_cells = ops.take(ops.convert_to_tensor(sides, dtype="int32"), level)[..., None]
    begin = ops.take(ops.convert_to_tensor(starts(pixels), dtype="int32"), level)
    begin = begin + sum(pixels) * ops.arange(images, dtype="int32")[:, None]
    share = (ops.arange(POINTS, dtype=dtype) + 0.5) / POINTS
    cells = ops.cast(whole_cells, dtype)
    low, high, weights = [], [], []
    for axis in (0, 1):  # (n, regions, points) each
        extent = ops.maximum(size[..., axis, None] * cells, 1.0)
        at_ = regions[..., axis, None] * cells + extent * share
        inside = ops.cast((at_ >= -1) & (at_ <= cells), dtype)
        whole = ops.minimum(ops.floor(ops.maximum(at_, 0.0)), cells - 1)
        part = (ops.maximum(at_, 0.0) - whole) * ops.cast(whole < cells - 1, dtype)
        low.append(ops.cast(whole, "int32"))
        high.append(ops.minimum(low[-1] + 1, whole_cells - 1))
        weights.append((inside * (1 - part), inside * part))
    table = ops.reshape(ops.concatenate(lists, axis=1), (-1, channels))
    found = ops.zeros((), dtype=table.dtype)
    for rows, of_row in ((low[1], weights[1][0]), (high[1], weights[1][1])):
        for columns, of_column in ((low[0], weights[0][0]), (high[0], weights[0][1])):
            index = begin[..., None, None] + rows[..., None] * whole_cells[..., None]
            index = index + columns[..., None, :]
            weight = ops.cast(of_row[..., :, None] * of_column[..., None, :], table.dtype)
            found = found + ops.take(table, index, axis=0) * weight[..., None]
    half = POINTS // 2
    bins = ops.reshape(found, (images, regions.shape[1], half, 2, half, 2, channels))
    return ops.reshape(
        ops.mean(bins, axis=(3, 5)), (images, regions.shape[1], half * half * channels)
    )


class Anchors(layers.Layer):
    """Gives its anchors (anchors, k), whatever it is called with, in the type of the weights."""

    def __init__(self, anchors: Any, **named: Any) -> None:
        super().__init__(dtype=config.floatx(), **named)
        self.anchors = anchors

    def call(self, x: Any) -> Any:
        """The anchors."""
        del x
        return ops.convert_to_tensor(self.anchors, dtype=self.compute_dtype)


def last(x: KerasTensor, *, name: str) -> KerasTensor:
    """A map with its channels last, whatever ``--policy best`` has chosen."""
    if config.image_data_format() == "channels_last":
        return x
    return layers.Permute((2, 3, 1), name=f"{name}_last")(x)


def laid_out(x: KerasTensor, *, name: str) -> KerasTensor:
    """A map whose channels are last as convolutions take it."""
    if config.image_data_format() == "channels_last":
        return x
    return layers.Permute((3, 1, 2), name=f"{name}_first")(x)


def flat(x: KerasTensor, each: int, *, name: str) -> KerasTensor:
    """A map of so many numbers for each anchor as a list: (n, anchors, each)."""
    return layers.Reshape((-1, each), name=f"{name}_list")(last(x, name=name))


def logistic(target: Any, logits: Any) -> Any:
    """The binary cross-entropy of each of some logits."""
    return ops.softplus(logits) - target * logits


def smooth(apart: Any, beta: float = 1.0) -> Any:
    """The smooth absolute value of differences, quadratic below ``beta``."""
    size = ops.abs(apart)
    return ops.where(size < beta, ops.square(apart) / (2 * beta), size - beta / 2)


def pyramid(inputs: KerasTensor, width: int, filters: int, last: int) -> list[KerasTensor]:
    """The maps of an image (n, h, w, 3), the finest first, of the ``last`` stages of ResNet-50.

    Its normalisation is frozen. Lin et al.: Feature pyramid networks for object detection, 2017.
    """
    maps = stages(inputs, width)
    for layer in keras.Model(inputs, maps).layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    found = [
        layers.Conv2D(filters, 1, name=f"inner-{index}")(x)
        for index, x in enumerate(maps[len(STAGES) - last :])
    ]
    for index in range(last - 2, -1, -1):
        above = layers.UpSampling2D(2, name=f"grow{index}")(found[index + 1])
        found[index] = layers.Add(name=f"add{index}")([found[index], above])
    return [
        layers.Conv2D(filters, 3, padding="same", name=f"outer-{index}")(x)
        for index, x in enumerate(found)
    ]
