"""Faster R-CNN in PyTorch."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, smooth_l1_loss

from benchmarks.models.detection._shared.anchors import starts
from benchmarks.models.detection._shared.torch import (
    Pyramid,
    aligned,
    assigned,
    at,
    decoded,
    encoded,
    flat,
    greedy,
    listed,
    restored,
    sampled,
    shares,
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


class Objects(NamedTuple):
    """Boxes (n, m, 4), classes (n, m) and mask (n, m) of what is there, and keys (n, k)."""

    boxes: Tensor
    classes: Tensor
    there: Tensor
    keys: Tensor


class Regions(NamedTuple):
    """What is looked at: boxes (n, r, 4), and the place of each among the proposals, or -1.

    ``classes`` (n, r) are those wanted, 0 for the background, -1 for one that does not count, and
    ``codes`` (n, r, 4) the boxes wanted.
    """

    boxes: Tensor
    places: Tensor
    classes: Tensor
    codes: Tensor


class FasterRCNN(Pyramid):
    """A pyramid, a head that proposes regions of it, and a head that looks at the regions."""

    anchors: Tensor

    def __init__(self, side: int, classes: int, settings: Mapping[str, int]) -> None:
        filters, dense = settings["filters"], settings["dense"]
        super().__init__(3, settings["width"], filters, STAGES)
        self.side, self.classes, self.settings = side, classes, dict(settings)
        self.shrink, self.relu = nn.MaxPool2d(1, stride=2), nn.ReLU()
        self.proposing = nn.Conv2d(filters, filters, 3, padding=1)
        self.anchor_logits = nn.Conv2d(filters, EACH, 1)
        self.anchor_codes = nn.Conv2d(filters, 4 * EACH, 1)
        self.dense1 = nn.Linear(7 * 7 * filters, dense)
        self.dense2 = nn.Linear(dense, dense)
        self.logits = nn.Linear(dense, classes)
        self.codes = nn.Linear(dense, 4 * classes)
        levels = anchors(side)
        self.levels = [len(one) for one in levels]
        every = torch.cat([torch.from_numpy(one) for one in levels])
        self.register_buffer("anchors", every, persistent=False)

    def forward(
        self, image: Tensor, boxes: Tensor, classes: Tensor, there: Tensor, keys: Tensor
    ) -> dict[str, Tensor]:
        """What is proposed, and what is made of the regions looked at.

        Args:
            image: (n, 3, 800, 800).
            boxes: of the objects, (n, 20, 4).
            classes: of the objects, (n, 20).
            there: whether there is such an object, (n, 20).
            keys: by which regions are drawn, (n, 2020).
        """
        maps = self.pyramid(image)  # (n, 256, 200, 200) to (n, 256, 25, 25)
        codes, logits = [], []
        for one in (*maps, self.shrink(maps[-1])):
            x = self.relu(self.proposing(one))
            codes.append(flat(self.anchor_codes(x), 4))
            logits.append(flat(self.anchor_logits(x), 1))
        all_codes, all_logits = torch.cat(codes, 1), torch.cat(logits, 1)[..., 0]
        proposals, valid = self._proposed(all_codes.detach(), all_logits.detach())
        regions = _all(proposals, valid)
        if self.training:
            objects = Objects(boxes, classes, there, keys)
            regions = _drawn(proposals, valid, objects, self.settings["regions"])
        x = aligned(maps, regions.boxes, self.side)  # (n, 512, 12544)
        x = self.relu(self.dense2(self.relu(self.dense1(x))))  # (n, 512, 1024)
        return {
            "anchors": self.anchors,
            "anchor_codes": all_codes,  # (n, 159882, 4)
            "anchor_logits": all_logits,
            "logits": self.logits(x),  # (n, 512, 91)
            "codes": self.codes(x).unflatten(-1, (self.classes, 4)),  # (n, 512, 91, 4)
            "regions": regions.boxes,
            "places": regions.places,
            "wanted_classes": regions.classes,
            "wanted_codes": regions.codes,
        }

    def _proposed(self, codes: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The best boxes (n, k, 4) of all levels, and which of them count (n, k)."""
        half = 1 if self.training else 2
        most = self.settings["candidates"] // half
        anchors = self.anchors
        every = decoded(codes.to(anchors.dtype), anchors, PLAIN).clamp(0, 1)
        found, held = [], []
        for part, first in zip(logits.split(self.levels, 1), starts(self.levels), strict=True):
            best, index = part.topk(min(most, part.shape[1]))
            boxes = at(every, index + first)
            there = (boxes[..., 2:] - boxes[..., :2] >= SMALLEST).all(-1)
            found.append(boxes)
            held.append(torch.where(greedy(boxes, there, PROPOSED), best, -torch.inf))
        scores = torch.cat(held, 1)
        scores, order = scores.topk(min(self.settings["proposals"] // half, scores.shape[1]))
        valid = scores > -torch.inf
        return torch.where(valid[..., None], at(torch.cat(found, 1), order), whole(every)), valid


def whole(boxes: Tensor) -> Tensor:
    """The box of the whole image, which stands where there is none."""
    return boxes.new_tensor([0.0, 0.0, 1.0, 1.0])


def _all(boxes: Tensor, valid: Tensor) -> Regions:
    """All proposals, for inference."""
    place = torch.arange(boxes.shape[1], device=boxes.device)
    places = torch.where(valid, place, -1)
    return Regions(boxes, places, torch.full_like(places, -1), torch.zeros_like(boxes))


def _drawn(proposals: Tensor, valid: Tensor, objects: Objects, most: int) -> Regions:
    """So many of the proposals and of the objects, with what is wanted of them."""
    with torch.no_grad():
        boxes = torch.cat([proposals, objects.boxes], 1)
        there = torch.cat([valid, objects.there], 1)
        found = assigned(shares(objects.boxes, objects.there, boxes), OVERLAP, OVERLAP)
        keys = objects.keys[:, : boxes.shape[1]]
        sides = (there & (found >= 0), there & (found < 0))
        positive, negative = sampled(*sides, keys, most, most // SHARE)
        order = torch.arange(boxes.shape[1], 0, -1, device=boxes.device)
        left, places = ((positive | negative) * order).topk(min(most, boxes.shape[1]))
        places = torch.where(left > 0, places, -1)
        regions = torch.where(places[..., None] >= 0, at(boxes, places), whole(boxes))
        obj = at(found, places)
        classes = torch.where(at(positive, places), at(objects.classes, obj) + 1, 0)
        classes = torch.where(places >= 0, classes, -1)
    codes = encoded(at(objects.boxes, obj), regions, WEIGHTS)
    return Regions(regions, places, classes, codes)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    classes = 1 + task.targets["objects.classes"].count
    return FasterRCNN(task.inputs["image"].shape[0], classes, task.settings)


class Matched(NamedTuple):
    """The object of each anchor (n, anchors), and which anchors with and without one count."""

    objects: Tensor
    positive: Tensor
    negative: Tensor


def matching(anchors: Tensor, targets: Mapping[str, Tensor]) -> Matched:
    """Which anchors count, and for which object."""
    found = shares(targets["objects.boxes"], targets["objects.mask"], anchors)
    objects = restored(found, assigned(found, LOW, HIGH))
    sides = (objects >= 0, objects == -1)
    return Matched(objects, *sampled(*sides, targets["anchor_keys"], SAMPLES, POSITIVE))


def choices(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is chosen among anchors, and among proposals and objects, by name."""
    regions = {"places": outputs["places"], "classes": outputs["wanted_classes"]}
    return matching(outputs["anchors"], targets)._asdict() | regions


def loss(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The losses of the proposals and of the regions."""
    anchors = outputs["anchors"]
    names = ("anchor_codes", "anchor_logits", "codes", "logits")
    anchor_codes, anchor_logits, codes, logits = (outputs[n].to(anchors.dtype) for n in names)
    objects, positive, negative = matching(anchors, targets)
    wanted = encoded(at(targets["objects.boxes"], objects), anchors, PLAIN)
    apart = smooth_l1_loss(anchor_codes, wanted, reduction="none", beta=BETA).sum(-1)
    lost = binary_cross_entropy_with_logits(
        anchor_logits, positive.to(anchors.dtype), reduction="none"
    )
    counted = positive | negative
    classes = outputs["wanted_classes"]
    own = classes.clamp(min=0)[..., None, None].expand(*classes.shape, 1, 4)
    code = codes.gather(2, own)[..., 0, :]
    wanted = outputs["wanted_codes"].to(anchors.dtype)
    of_regions = smooth_l1_loss(code, wanted, reduction="none", beta=BETA).sum(-1)
    looked_at = (classes >= 0).sum()
    return {
        "objectness": (lost * counted).sum() / counted.sum(),
        "proposal": (apart * positive).sum() / counted.sum(),
        "class": cross_entropy(logits.flatten(0, 1), classes.flatten(), ignore_index=-1),
        "box": (of_regions * (classes > 0)).sum() / looked_at,
    }


def postprocess(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The detections: boxes, scores, classes and regions of the best ones."""
    anchors, regions = outputs["anchors"], outputs["regions"]
    scores = outputs["logits"].to(anchors.dtype).softmax(-1)[..., 1:]  # (n, 1000, 90)
    codes = outputs["codes"].to(anchors.dtype)[:, :, 1:]
    boxes = decoded(codes, regions[:, :, None], WEIGHTS).clamp(0, 1)  # (n, 1000, 90, 4)
    large = (boxes[..., 2:] - boxes[..., :2] >= SMALL).all(-1)
    scores = scores * (large & (outputs["places"] >= 0)[..., None])
    held, index = strongest(scores.flatten(1), FLOOR, CANDIDATES)
    found, many = at(boxes.flatten(1, 2), index), scores.shape[-1]
    keep = greedy(found, index >= 0, LIMIT, index % many)
    return listed(found, held * keep, index % many, index // many, MOST)
