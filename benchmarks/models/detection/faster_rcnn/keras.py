"""Faster R-CNN in Keras."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import KerasTensor, config, layers, ops

from benchmarks.models.detection._shared.anchors import starts
from benchmarks.models.detection._shared.keras import (
    Anchors,
    aligned,
    assigned,
    at,
    decoded,
    encoded,
    flat,
    greedy,
    last,
    listed,
    logistic,
    pyramid,
    restored,
    sampled,
    shares,
    smooth,
    strongest,
)
from benchmarks.models.detection.faster_rcnn import (
    BETA,
    CANDIDATES,
    EACH,
    FLOOR,
    HIGH,
    LIMIT,
    LOW,
    MOST,
    OVERLAP,
    PLAIN,
    POSITIVE,
    PROPOSED,
    SAMPLES,
    SHARE,
    SMALL,
    SMALLEST,
    STAGES,
    WEIGHTS,
    anchors,
)
from benchmarks.tasks.task import Task

NONE = float("-inf")
"""The score of a proposal that does not count."""


class Regions(layers.Layer):
    """Proposes regions, and draws those that are looked at where the model trains."""

    def __init__(self, levels: Sequence[int], settings: Mapping[str, int], **named: Any) -> None:
        super().__init__(dtype=config.floatx(), **named)
        self.levels, self.settings = tuple(levels), dict(settings)

    def call(
        self,
        codes: Any,
        logits: Any,
        anchors: Any,
        boxes: Any,
        classes: Any,
        there: Any,
        keys: Any,
        training: bool = False,
    ) -> dict[str, Any]:
        """What is looked at, by name.

        ``regions`` (n, r, 4), and ``places`` (n, r), the place of each among the proposals, or -1;
        ``wanted_classes`` (n, r), 0 for the background, -1 for one that does not count, and
        ``wanted_codes`` (n, r, 4).
        """
        half = 1 if training else 2
        proposals, valid = self._proposed(
            ops.stop_gradient(codes), ops.stop_gradient(logits), anchors, half
        )
        if training:
            return self._drawn(proposals, valid, boxes, classes, ops.cast(there, "bool"), keys)
        places = ops.where(valid, ops.arange(proposals.shape[1], dtype="int32"), -1)
        return {
            "regions": proposals,
            "places": places,
            "wanted_classes": ops.zeros_like(places) - 1,
            "wanted_codes": ops.zeros_like(proposals),
        }

    def _proposed(self, codes: Any, logits: Any, anchors: Any, half: int) -> tuple[Any, Any]:
        """The best boxes (n, k, 4) of all levels, and which of them count (n, k)."""
        most = self.settings["candidates"] // half
        every = ops.clip(decoded(codes, anchors, PLAIN), 0, 1)
        found, held = [], []
        for size, first in zip(self.levels, starts(self.levels), strict=True):
            best, index = ops.top_k(logits[:, first : first + size], min(most, size))
            boxes = at(every, ops.cast(index, "int32") + first)
            there = ops.all(boxes[..., 2:] - boxes[..., :2] >= SMALLEST, axis=-1)
            found.append(boxes)
            held.append(ops.where(greedy(boxes, there, PROPOSED), best, NONE))
        scores = ops.concatenate(held, axis=1)
        kept = min(self.settings["proposals"] // half, scores.shape[1])
        scores, order = ops.top_k(scores, kept)
        every = ops.concatenate(found, axis=1)
        valid = scores > NONE
        best = at(every, ops.cast(order, "int32"))
        return ops.where(valid[..., None], best, whole(every)), valid

    def _drawn(
        self, proposals: Any, valid: Any, boxes: Any, classes: Any, there: Any, keys: Any
    ) -> dict[str, Any]:
        """So many of the proposals and of the objects, with what is wanted of them."""
        most, known = self.settings["regions"], ops.stop_gradient(boxes)
        every = ops.concatenate([proposals, known], axis=1)
        count = every.shape[1]
        counted = ops.concatenate([valid, there], axis=1)
        found = assigned(shares(known, there, every), OVERLAP, OVERLAP)
        sides = (counted & (found >= 0), counted & (found < 0))
        positive, negative = sampled(*sides, keys[:, :count], most, most // SHARE)
        order = ops.arange(count, 0, -1, dtype="int32")
        taken = ops.cast(positive | negative, "int32")
        left, places = ops.top_k(taken * order, min(most, count))
        places = ops.where(left > 0, ops.cast(places, "int32"), -1)
        regions = ops.where(places[..., None] >= 0, at(every, places), whole(every))
        obj = at(found, places)
        own = ops.cast(at(classes, obj), "int32") + 1
        wanted = ops.where(at(positive, places), own, 0)
        return {
            "regions": regions,
            "places": places,
            "wanted_classes": ops.where(places >= 0, wanted, -1),
            "wanted_codes": encoded(at(boxes, obj), regions, WEIGHTS),
        }


def whole(boxes: Any) -> Any:
    """The box of the whole image, which stands where there is none."""
    return ops.convert_to_tensor([0.0, 0.0, 1.0, 1.0], dtype=boxes.dtype)


class Aligned(layers.Layer):
    """The features of regions (n, r, 4) in maps (n, h, w, channels): (n, r, 49 * channels)."""

    def __init__(self, side: int, **named: Any) -> None:
        super().__init__(autocast=False, **named)
        self.side = side

    def call(self, maps: Sequence[Any], regions: Any) -> Any:
        """The features."""
        return aligned(maps, ops.stop_gradient(regions), self.side)


def proposing(maps: list[KerasTensor], filters: int) -> tuple[KerasTensor, KerasTensor]:
    """The codes (n, anchors, 4) and the logits (n, anchors) of the anchors of five levels."""
    shrunk = layers.MaxPooling2D(1, strides=2, name="shrink")(maps[-1])
    conv = layers.Conv2D(filters, 3, padding="same", activation="relu", name="proposing")
    of_logits = layers.Conv2D(EACH, 1, name="anchor_logits")
    of_codes = layers.Conv2D(4 * EACH, 1, name="anchor_codes")
    codes, logits = [], []
    for level, one in enumerate([*maps, shrunk]):
        x = conv(one)
        codes.append(flat(of_codes(x), 4, name=f"anchor_codes{level}"))
        logits.append(flat(of_logits(x), 1, name=f"anchor_logits{level}"))
    every = layers.Concatenate(1, name="all_anchor_logits")(logits)
    return layers.Concatenate(1, name="all_anchor_codes")(codes), every[..., 0]


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    settings, given = task.settings, task.inputs
    types = {"classes": "int32", "there": "bool", "keys": "int32"}
    inputs = {
        name: keras.Input(one.shape, dtype=types.get(name), name=name)
        for name, one in given.items()
    }
    side = max(given["image"].shape[:2])
    classes, levels = 1 + task.targets["objects.classes"].count, anchors(side)
    maps = pyramid(inputs["image"], settings["width"], settings["filters"], STAGES)
    codes, logits = proposing(maps, settings["filters"])
    of_anchors = Anchors(np.concatenate(levels), name="anchors")(inputs["image"])
    found = Regions([len(one) for one in levels], settings, name="regions")(
        codes,
        logits,
        of_anchors,
        *(inputs[name] for name in ("boxes", "classes", "there", "keys")),
    )
    x = Aligned(side, name="aligned")(
        [last(one, name=f"map{level}") for level, one in enumerate(maps)], found["regions"]
    )
    x = layers.Dense(settings["dense"], activation="relu", name="dense1")(x)  # (n, 512, 1024)
    x = layers.Dense(settings["dense"], activation="relu", name="dense2")(x)
    of_regions = layers.Dense(4 * classes, name="codes")(x)
    return keras.Model(
        inputs,
        {
            "anchors": of_anchors,
            "anchor_codes": codes,
            "anchor_logits": logits,
            "logits": layers.Dense(classes, name="logits")(x),
            "codes": layers.Reshape((-1, classes, 4), name="by_class")(of_regions),
            **found,
        },
    )


class Matched(NamedTuple):
    """The object of each anchor (n, anchors), and which anchors with and without one count."""

    objects: Any
    positive: Any
    negative: Any


def matching(anchors: Any, targets: Mapping[str, Any]) -> Matched:
    """Which anchors count, and for which object."""
    found = shares(targets["objects.boxes"], targets["objects.mask"], anchors)
    objects = restored(found, assigned(found, LOW, HIGH))
    sides = (objects >= 0, objects == -1)
    return Matched(objects, *sampled(*sides, targets["anchor_keys"], SAMPLES, POSITIVE))


def choices(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> dict[str, Any]:
    """What is chosen among anchors, and among proposals and objects, by name."""
    regions = {"places": outputs["places"], "classes": outputs["wanted_classes"]}
    return matching(outputs["anchors"], targets)._asdict() | regions


def loss(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> dict[str, Any]:
    """The losses of the proposals and of the regions."""
    anchors = outputs["anchors"]
    dtype = anchors.dtype
    names = ("anchor_codes", "anchor_logits", "codes", "logits", "wanted_codes")
    anchor_codes, anchor_logits, codes, logits, of_box = (
        ops.cast(outputs[name], dtype) for name in names
    )
    objects, positive, negative = matching(anchors, targets)
    there, counted = ops.cast(positive, dtype), ops.cast(positive | negative, dtype)
    wanted = encoded(at(targets["objects.boxes"], objects), anchors, PLAIN)
    apart = ops.sum(smooth(anchor_codes - wanted, BETA), axis=-1)
    classes = ops.cast(outputs["wanted_classes"], "int32")
    own = ops.maximum(classes, 0)
    code = ops.take_along_axis(codes, own[..., None, None], axis=2)[:, :, 0]
    of_regions = ops.sum(smooth(code - of_box, BETA), axis=-1)
    looked_at, of_object = ops.cast(classes >= 0, dtype), ops.cast(classes > 0, dtype)
    of_class = ops.sparse_categorical_crossentropy(own, logits, from_logits=True)
    return {
        "objectness": ops.sum(logistic(there, anchor_logits) * counted) / ops.sum(counted),
        "proposal": ops.sum(apart * there) / ops.sum(counted),
        "class": ops.sum(of_class * looked_at) / ops.sum(looked_at),
        "box": ops.sum(of_regions * of_object) / ops.sum(looked_at),
    }


def postprocess(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The detections: boxes, scores, classes and regions of the best ones."""
    regions = outputs["regions"]
    dtype = regions.dtype
    scores = ops.softmax(ops.cast(outputs["logits"], dtype))[..., 1:]  # (n, 1000, 90)
    codes = ops.cast(outputs["codes"], dtype)[:, :, 1:]
    boxes = ops.clip(decoded(codes, regions[:, :, None], WEIGHTS), 0, 1)  # (n, 1000, 90, 4)
    large = ops.all(boxes[..., 2:] - boxes[..., :2] >= SMALL, axis=-1)
    there = large & (outputs["places"] >= 0)[..., None]
    scores = scores * ops.cast(there, dtype)
    images, (many, classes) = ops.shape(scores)[0], scores.shape[1:]
    held, index = strongest(ops.reshape(scores, (images, many * classes)), FLOOR, CANDIDATES)
    found = at(ops.reshape(boxes, (images, many * classes, 4)), index)
    keep = ops.cast(greedy(found, index >= 0, LIMIT, index % classes), held.dtype)
    return listed(found, held * keep, index % classes, index // classes, MOST)
