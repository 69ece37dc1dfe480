"""YOLOv3-tiny in PyTorch."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from benchmarks.models.detection._shared.torch import (
    at,
    detected,
    first_best,
    flat,
    last_of,
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
from benchmarks.models.images._blocks.torch import ConvNorm
from benchmarks.tasks.task import Task


class YOLOv3Tiny(nn.Module):
    """Convolutions and pools down to two grids, each with a convolution to what its boxes are."""

    anchors: Tensor

    def __init__(self, side: int, width: int, classes: int) -> None:
        super().__init__()
        conv = partial(ConvNorm, activation=partial(nn.LeakyReLU, SLOPE))
        self.each, outputs = 5 + classes, EACH * (5 + classes)
        self.conv1, self.conv2 = conv(3, width), conv(width, 2 * width)
        self.conv3, self.conv4 = conv(2 * width, 4 * width), conv(4 * width, 8 * width)
        self.conv5, self.conv6 = conv(8 * width, 16 * width), conv(16 * width, 32 * width)
        self.conv7 = conv(32 * width, 64 * width)
        self.conv8 = conv(64 * width, 16 * width, 1)
        self.conv9 = conv(16 * width, 32 * width)
        self.coarse = nn.Conv2d(32 * width, outputs, 1)
        self.conv10 = conv(16 * width, 8 * width, 1)
        self.conv11 = conv(24 * width, 16 * width)
        self.fine = nn.Conv2d(16 * width, outputs, 1)
        self.pool = nn.MaxPool2d(2)
        self.pool6 = nn.MaxPool2d(2, stride=1, padding=1)
        self.grow = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.register_buffer("anchors", torch.from_numpy(anchors(side)), persistent=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:  # (n, 3, 416, 416)
        x = self.pool(self.conv2(self.pool(self.conv1(x))))  # (n, 32, 104, 104)
        x = self.pool(self.conv4(self.pool(self.conv3(x))))  # (n, 128, 26, 26)
        fine = self.conv5(x)  # (n, 256, 26, 26)
        x = self.conv6(self.pool(fine))  # (n, 512, 13, 13)
        x = self.pool6(x)[:, :, 1:, 1:]  # padded at the end alone, as the published one is
        x = self.conv8(self.conv7(x))  # (n, 256, 13, 13)
        coarse = self.coarse(self.conv9(x))  # (n, 255, 13, 13)
        x = self.grow(self.conv10(x))  # (n, 128, 26, 26)
        fine = self.fine(self.conv11(torch.cat([x, fine], 1)))  # (n, 255, 26, 26)
        heads = torch.cat([flat(coarse, self.each), flat(fine, self.each)], 1)  # (n, 2535, 85)
        return {"heads": heads, "anchors": self.anchors}


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    side = task.inputs["image"].shape[0]
    return YOLOv3Tiny(side, task.settings["width"], task.targets["objects.classes"].count)


class Matched(NamedTuple):
    """The object of each anchor (n, anchors), or -1, and which boxes without one do not count."""

    objects: Tensor
    ignored: Tensor


def decoded(heads: Tensor, anchors: Tensor) -> Tensor:
    """The boxes (n, anchors, 4) that the heads (n, anchors, 85) say."""
    centre = anchors[:, :2] + heads[..., :2].sigmoid() * anchors[:, 2:3]
    half = heads[..., 2:4].exp() * anchors[:, 3:] / 2
    return torch.cat([centre - half, centre + half], -1)


def matching(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Matched:
    """Which anchor answers for which object."""
    anchors, boxes = outputs["anchors"], targets["objects.boxes"]
    centre, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    within = centre[:, :, None] - anchors[:, :2]  # (n, objects, anchors, 2)
    inside = ((within >= 0) & (within < anchors[:, 2:3])).all(-1)
    common = torch.minimum(size[:, :, None], anchors[:, 3:]).prod(-1)
    alike = common / (size.prod(-1)[..., None] + anchors[:, 3:].prod(-1) - common)
    slot = first_best(torch.where(inside, alike, -1.0))  # (n, objects)
    number = torch.arange(len(anchors), device=anchors.device)
    is_of = (slot[..., None] == number) & targets["objects.mask"][..., None]
    objects = last_of(is_of)
    found = decoded(outputs["heads"].detach().to(anchors.dtype), anchors)
    ignored = (objects < 0) & (overlap(found, boxes).amax(-1) > IGNORED)
    return Matched(objects, ignored)


def choices(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the loss chooses, by name."""
    return matching(outputs, targets)._asdict()


def loss(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The four parts of the loss, each a sum over boxes for an image."""
    anchors = outputs["anchors"]
    heads = outputs["heads"].to(anchors.dtype)
    objects, ignored = matching(outputs, targets)
    there, images = objects >= 0, len(heads)
    boxes = at(targets["objects.boxes"], objects)  # (n, anchors, 4)
    centre, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    weight = ((2 - size.prod(-1)) * there)[..., None]
    logits = binary_cross_entropy_with_logits
    at_centre = logits(
        heads[..., :2], (centre - anchors[:, :2]) / anchors[:, 2:3], weight, reduction="sum"
    )
    apart = heads[..., 2:4] - (size / anchors[:, 3:]).log()
    counted = (~ignored).to(heads.dtype)
    objectness = logits(heads[..., 4], there.to(heads.dtype), counted, reduction="sum")
    wanted = one_hot(at(targets["objects.classes"], objects), heads.shape[-1] - 5)
    of_class = logits(heads[..., 5:], wanted.to(heads.dtype), there[..., None], reduction="sum")
    return {
        "centre": at_centre / images,
        "size": (weight * apart.square()).sum() / 2 / images,
        "objectness": objectness / images,
        "class": of_class / images,
    }


def postprocess(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The detections: boxes, scores, classes and anchors of the best ones."""
    heads = outputs["heads"].to(outputs["anchors"].dtype)
    scores = heads[..., 4:5].sigmoid() * heads[..., 5:].sigmoid()
    boxes = decoded(heads, outputs["anchors"])
    levels = (scores.shape[1],)
    return detected(
        boxes, scores, levels, floor=FLOOR, candidates=CANDIDATES, limit=LIMIT, most=MOST
    )
