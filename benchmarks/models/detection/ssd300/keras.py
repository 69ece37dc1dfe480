"""SSD300 in Keras."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
from keras import KerasTensor, layers, ops

from benchmarks.models._learned.keras import LayerScale
from benchmarks.models.detection._shared.keras import (
    Anchors,
    assigned,
    at,
    decoded,
    encoded,
    first_best,
    flat,
    greedy,
    laid_out,
    last,
    last_of,
    listed,
    shares,
    smooth,
    strongest,
)
from benchmarks.models.detection.ssd300 import (
    CANDIDATES,
    EXTRA,
    FLOOR,
    LIMIT,
    MOST,
    NEGATIVES,
    OVERLAP,
    POOLS,
    SCALED,
    STAGES,
    WEIGHTS,
    anchors,
    each,
)
from benchmarks.tasks.task import Task


def maps(x: KerasTensor, width: int) -> list[KerasTensor]:
    """The six maps, from (n, 38, 38, 512) to (n, 1, 1, 256)."""
    found = []
    for stage, (convolutions, multiple) in enumerate(STAGES):
        for index in range(convolutions):
            x = layers.Conv2D(
                multiple * width,
                3,
                padding="same",
                activation="relu",
                name=f"stages-{stage}-{index}",
            )(x)
        if stage == SCALED:
            unit = layers.UnitNormalization(axis=-1, name="unit")(last(x, name="unit"))
            found.append(laid_out(LayerScale(20.0, name="scale")(unit), name="scale"))
        size, stride = POOLS[stage]
        x = layers.MaxPooling2D(size, strides=stride, padding="same", name=f"pool{stage}")(x)
    x = layers.Conv2D(
        16 * width, 3, dilation_rate=6, padding="same", activation="relu", name="conv6"
    )(x)
    x = layers.Conv2D(16 * width, 1, activation="relu", name="conv7")(x)
    found.append(x)  # (n, 19, 19, 1024)
    for index, (narrow, wide, stride) in enumerate(EXTRA):
        name = f"extra-{index}"
        x = layers.Conv2D(narrow * width, 1, activation="relu", name=f"{name}-0")(x)
        if stride > 1:
            x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        x = layers.Conv2D(wide * width, 3, strides=stride, activation="relu", name=f"{name}-1")(x)
        found.append(x)
    return found


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    classes = 1 + task.targets["objects.classes"].count
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 300, 300, 3)
    codes, logits = list[KerasTensor](), list[KerasTensor]()
    for level, x in enumerate(maps(inputs, task.settings["width"])):
        for name, numbers, made in (("codes", 4, codes), ("logits", classes, logits)):
            head = layers.Conv2D(numbers * each(level), 3, padding="same", name=f"{name}-{level}")(
                x
            )
            made.append(flat(head, numbers, name=f"{name}-{level}"))
    outputs = {
        "codes": layers.Concatenate(1, name="codes")(codes),  # (n, 8732, 4)
        "logits": layers.Concatenate(1, name="logits")(logits),  # (n, 8732, 21)
        "anchors": Anchors(anchors(), name="anchors")(inputs),
    }
    return keras.Model(inputs, outputs)


class Chosen(NamedTuple):
    """The object of each anchor (n, anchors), or -1, and which of the others count."""

    objects: Any
    negative: Any


def matching(anchors: Any, targets: Mapping[str, Any]) -> Any:
    """The object (n, anchors) that each anchor answers for, or -1."""
    there = targets["objects.mask"]
    found = shares(targets["objects.boxes"], there, anchors)
    slot = first_best(found)
    number = ops.arange(anchors.shape[0], dtype=slot.dtype)
    best = last_of((slot[..., None] == number) & there[..., None])
    return ops.where(best >= 0, best, assigned(found, OVERLAP, OVERLAP))


def hardest(losses: Any, objects: Any) -> Any:
    """Which anchors without an object (n, anchors) have the highest losses of their image."""
    others = ops.where(objects >= 0, -1.0, losses)
    rank = ops.argsort(ops.argsort(-others, axis=1), axis=1)
    count = ops.sum(ops.cast(objects >= 0, rank.dtype), axis=1, keepdims=True)
    return rank < NEGATIVES * count


def _losses(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> tuple[Chosen, Any]:
    """What is chosen, and the cross-entropy (n, anchors) of every anchor."""
    logits = ops.cast(outputs["logits"], outputs["anchors"].dtype)
    objects = matching(outputs["anchors"], targets)
    wanted = ops.where(objects >= 0, at(targets["objects.classes"], objects) + 1, 0)
    losses = ops.sparse_categorical_crossentropy(wanted, logits, from_logits=True)
    return Chosen(objects, hardest(ops.stop_gradient(losses), objects)), losses


def choices(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> dict[str, Any]:
    """What the loss chooses, by name."""
    chosen, _ = _losses(outputs, targets)
    return chosen._asdict()


def loss(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> dict[str, Any]:
    """The losses of boxes and of classes, for an anchor with an object."""
    anchors = outputs["anchors"]
    (objects, negative), losses = _losses(outputs, targets)
    there = ops.cast(objects >= 0, losses.dtype)
    wanted = encoded(at(targets["objects.boxes"], objects), anchors, WEIGHTS)
    apart = smooth(ops.cast(outputs["codes"], anchors.dtype) - wanted)
    counted = ops.cast((objects >= 0) | negative, losses.dtype)
    count = ops.maximum(ops.sum(there), 1.0)
    return {
        "box": ops.sum(ops.sum(apart, axis=-1) * there) / count,
        "class": ops.sum(losses * counted) / count,
    }


def postprocess(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The detections: boxes, scores, classes and anchors of the best ones."""
    anchors = outputs["anchors"]
    scores = ops.softmax(ops.cast(outputs["logits"], anchors.dtype))[..., 1:]
    scores = ops.transpose(scores, (0, 2, 1))
    every = ops.clip(decoded(ops.cast(outputs["codes"], anchors.dtype), anchors, WEIGHTS), 0, 1)
    held, index = strongest(scores, FLOOR, CANDIDATES)  # (n, 20, 400)
    _, classes, candidates = index.shape
    whole = (ops.shape(index)[0], classes * candidates)
    found = at(every, ops.reshape(index, whole))
    boxes = ops.reshape(found, (whole[0], classes, candidates, 4))
    held = held * ops.cast(greedy(boxes, index >= 0, LIMIT), held.dtype)
    number = ops.zeros_like(index) + ops.arange(classes, dtype=index.dtype)[:, None]
    one, two, three = (ops.reshape(x, whole) for x in (held, number, index))
    return listed(found, one, two, three, MOST)
