"""RetinaNet in Keras."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers, ops

from benchmarks.models.detection._shared import NEITHER
from benchmarks.models.detection._shared.keras import (
    Anchors,
    assigned,
    at,
    decoded,
    detected,
    encoded,
    flat,
    logistic,
    pyramid,
    restored,
    shares,
)
from benchmarks.models.detection.retinanet import (
    ALPHA,
    CANDIDATES,
    CONVOLUTIONS,
    EACH,
    FLOOR,
    GAMMA,
    HIGH,
    LIMIT,
    LOW,
    MOST,
    PRIOR,
    STAGES,
    WEIGHTS,
    anchors,
)
from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    filters, shape = task.settings["filters"], task.inputs["image"].shape
    inputs = keras.Input(shape)  # (n, 800, 800, 3)
    maps = pyramid(inputs, task.settings["width"], filters, STAGES)  # (n, 100, 100, 256), ...
    x = layers.ZeroPadding2D(1, name="p6_pad")(maps[-1])
    maps.append(layers.Conv2D(filters, 3, strides=2, name="p6")(x))  # (n, 13, 13, 256)
    x = layers.ZeroPadding2D(1, name="p7_pad")(layers.ReLU(name="p6_relu")(maps[-1]))
    maps.append(layers.Conv2D(filters, 3, strides=2, name="p7")(x))  # (n, 7, 7, 256)
    outputs = {}
    classes = task.targets["objects.classes"].count
    for kind, name, each, start in (
        ("boxes", "codes", 4, 0.0),
        ("classes", "logits", classes, PRIOR),
    ):
        head = [
            layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"of_{kind}-{index}")
            for index in range(CONVOLUTIONS)
        ]
        head.append(
            layers.Conv2D(
                each * EACH,
                3,
                padding="same",
                bias_initializer=keras.initializers.Constant(start),
                name=name,
            )
        )
        lists = []
        for level, one in enumerate(maps):
            x = one
            for conv in head:
                x = conv(x)
            lists.append(flat(x, each, name=f"{name}{level}"))
        outputs[name] = layers.Concatenate(1, name=f"all_{name}")(lists)  # (n, 120087, each)
    for level, of_level in enumerate(anchors(max(shape[:2]))):
        outputs[f"anchors{level}"] = Anchors(of_level, name=f"anchors{level}")(inputs)
    return keras.Model(inputs, outputs)


def _levels(outputs: Mapping[str, Any]) -> list[Any]:
    return [outputs[f"anchors{index}"] for index in range(5)]


def matching(anchors: Any, targets: Mapping[str, Any]) -> Any:
    """The object (n, anchors) that each anchor answers for, -1, or ``NEITHER``."""
    found = shares(targets["objects.boxes"], targets["objects.mask"], anchors)
    return restored(found, assigned(found, LOW, HIGH))


def choices(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> dict[str, Any]:
    """What the loss chooses, by name."""
    return {"objects": matching(ops.concatenate(_levels(outputs), axis=0), targets)}


def loss(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> dict[str, Any]:
    """The losses of boxes and of classes, for an anchor with an object."""
    anchors = ops.concatenate(_levels(outputs), axis=0)
    codes, logits = (ops.cast(outputs[name], anchors.dtype) for name in ("codes", "logits"))
    objects = matching(anchors, targets)
    there, counted = (ops.cast(one, logits.dtype) for one in (objects >= 0, objects != NEITHER))
    count = ops.maximum(ops.sum(there, axis=1), 1.0)
    boxes = encoded(at(targets["objects.boxes"], objects), anchors, WEIGHTS)
    apart = ops.sum(ops.sum(ops.abs(codes - boxes), axis=-1) * there, axis=1) / count
    found = at(targets["objects.classes"], objects)
    wanted = ops.one_hot(found, logits.shape[-1], dtype=logits.dtype) * there[..., None]
    scores = ops.sigmoid(logits)
    missed = scores + wanted - 2 * scores * wanted  # 1 - p of what is wanted
    lost = logistic(wanted, logits) * missed**GAMMA
    lost = lost * (ALPHA * wanted + (1 - ALPHA) * (1 - wanted))
    focal = ops.sum(ops.sum(lost, axis=-1) * counted, axis=1) / count
    return {"box": ops.mean(apart), "class": ops.mean(focal)}


def postprocess(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The detections: boxes, scores, classes and anchors of the best ones."""
    levels = _levels(outputs)
    anchors = ops.concatenate(levels, axis=0)
    codes, logits = (ops.cast(outputs[name], anchors.dtype) for name in ("codes", "logits"))
    return detected(
        ops.clip(decoded(codes, anchors, WEIGHTS), 0, 1),
        ops.sigmoid(logits),
        [one.shape[0] for one in levels],
        floor=FLOOR,
        candidates=CANDIDATES,
        limit=LIMIT,
        most=MOST,
    )
