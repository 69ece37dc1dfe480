"""YOLOv3-tiny in Keras."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
from keras import KerasTensor, layers, ops

from benchmarks.models.detection._shared.keras import (
    Anchors,
    at,
    detected,
    first_best,
    flat,
    last_of,
    logistic,
    overlap,
)
from benchmarks.models.detection.yolov3_tiny import (
    CANDIDATES,
    EACH,
    FLOOR,
    IGNORED,
    LIMIT,
    MOST,
    SLOPE,
    anchors,
)
from benchmarks.models.images._blocks.keras import channels, conv_norm
from benchmarks.tasks.task import Task


def conv(x: KerasTensor, filters: int, kernel: int = 3, *, name: str) -> KerasTensor:
    """A convolution, batch normalisation and a leaky ReLU."""
    x = conv_norm(x, filters, kernel, name=name, activation="")
    return layers.LeakyReLU(negative_slope=SLOPE, name=f"{name}-activation")(x)


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    width, each = task.settings["width"], 5 + task.targets["objects.classes"].count
    shape = task.inputs["image"].shape
    x = inputs = keras.Input(shape)  # (n, 416, 416, 3)
    for at_, multiple in enumerate((1, 2, 4, 8), 1):
        x = conv(x, multiple * width, name=f"conv{at_}")
        x = layers.MaxPooling2D(2, name=f"pool{at_}")(x)  # at last (n, 26, 26, 128)
    fine = conv(x, 16 * width, name="conv5")  # (n, 26, 26, 256)
    x = layers.MaxPooling2D(2, name="pool5")(fine)
    x = conv(x, 32 * width, name="conv6")  # (n, 13, 13, 512)
    x = layers.MaxPooling2D(2, strides=1, padding="same", name="pool6")(x)
    x = conv(conv(x, 64 * width, name="conv7"), 16 * width, 1, name="conv8")  # (n, 13, 13, 256)
    coarse = conv(x, 32 * width, name="conv9")
    coarse = layers.Conv2D(EACH * each, 1, name="coarse")(coarse)  # (n, 13, 13, 255)
    x = layers.UpSampling2D(2, name="grow")(conv(x, 8 * width, 1, name="conv10"))
    x = layers.Concatenate(channels(), name="concat")([x, fine])  # (n, 26, 26, 384)
    fine = layers.Conv2D(EACH * each, 1, name="fine")(conv(x, 16 * width, name="conv11"))
    lists = [flat(coarse, each, name="coarse"), flat(fine, each, name="fine")]
    heads = layers.Concatenate(1, name="heads")(lists)  # (n, 2535, 85)
    side = max(shape[:2])
    return keras.Model(inputs, {"heads": heads, "anchors": Anchors(anchors(side))(heads)})


class Matched(NamedTuple):
    """The object of each anchor (n, anchors), or -1, and which boxes without one do not count."""

    objects: Any
    ignored: Any


def decoded(heads: Any, anchors: Any) -> Any:
    """The boxes (n, anchors, 4) that the heads (n, anchors, 85) say."""
    centre = anchors[:, :2] + ops.sigmoid(heads[..., :2]) * anchors[:, 2:3]
    half = ops.exp(heads[..., 2:4]) * anchors[:, 3:] / 2
    return ops.concatenate([centre - half, centre + half], axis=-1)


def matching(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> Matched:
    """Which anchor answers for which object."""
    anchors, boxes = outputs["anchors"], targets["objects.boxes"]
    centre, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    within = centre[:, :, None] - anchors[:, :2]  # (n, objects, anchors, 2)
    inside = ops.all((within >= 0) & (within < anchors[:, 2:3]), axis=-1)
    common = ops.prod(ops.minimum(size[:, :, None], anchors[:, 3:]), axis=-1)
    areas = ops.prod(size, axis=-1)[..., None] + ops.prod(anchors[:, 3:], axis=-1)
    slot = first_best(ops.where(inside, common / (areas - common), -1.0))  # (n, objects)
    number = ops.arange(anchors.shape[0], dtype=slot.dtype)
    is_of = (slot[..., None] == number) & targets["objects.mask"][..., None]
    objects = last_of(is_of)
    found = decoded(ops.cast(ops.stop_gradient(outputs["heads"]), anchors.dtype), anchors)
    ignored = (objects < 0) & (ops.max(overlap(found, boxes), axis=-1) > IGNORED)
    return Matched(objects, ignored)


def choices(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> dict[str, Any]:
    """What the loss chooses, by name."""
    return matching(outputs, targets)._asdict()


def loss(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> dict[str, Any]:
    """The four parts of the loss, each a sum over boxes for an image."""
    anchors = outputs["anchors"]
    heads = ops.cast(outputs["heads"], anchors.dtype)
    objects, ignored = matching(outputs, targets)
    there = ops.cast(objects >= 0, heads.dtype)
    images = ops.cast(ops.shape(heads)[0], heads.dtype)
    boxes = at(targets["objects.boxes"], objects)  # (n, anchors, 4)
    centre, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    weight = ((2 - ops.prod(size, axis=-1)) * there)[..., None]
    at_centre = logistic((centre - anchors[:, :2]) / anchors[:, 2:3], heads[..., :2])
    apart = heads[..., 2:4] - ops.log(size / anchors[:, 3:])
    counted = ops.cast(ops.logical_not(ignored), heads.dtype)
    found = at(targets["objects.classes"], objects)
    wanted = ops.one_hot(found, heads.shape[-1] - 5, dtype=heads.dtype)
    of_class = logistic(wanted, heads[..., 5:])
    return {
        "centre": ops.sum(weight * at_centre) / images,
        "size": ops.sum(weight * ops.square(apart)) / 2 / images,
        "objectness": ops.sum(counted * logistic(there, heads[..., 4])) / images,
        "class": ops.sum(there[..., None] * of_class) / images,
    }


def postprocess(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The detections: boxes, scores, classes and anchors of the best ones."""
    heads = ops.cast(outputs["heads"], outputs["anchors"].dtype)
    scores = ops.sigmoid(heads[..., 4:5]) * ops.sigmoid(heads[..., 5:])
    boxes = decoded(heads, outputs["anchors"])
    levels = (scores.shape[1],)
    return detected(
        boxes, scores, levels, floor=FLOOR, candidates=CANDIDATES, limit=LIMIT, most=MOST
    )
