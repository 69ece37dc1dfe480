"""RetinaNet in PyTorch."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from benchmarks.models.detection._shared import NEITHER
from benchmarks.models.detection._shared.torch import (
    Pyramid,
    assigned,
    at,
    decoded,
    detected,
    encoded,
    flat,
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


class RetinaNet(Pyramid):
    """A pyramid of five levels, and two heads that all levels share."""

    anchors: Tensor

    def __init__(self, side: int, width: int, filters: int, classes: int) -> None:
        super().__init__(3, width, filters, STAGES)
        self.classes = classes
        self.p6 = nn.Conv2d(filters, filters, 3, stride=2, padding=1)
        self.p7 = nn.Conv2d(filters, filters, 3, stride=2, padding=1)
        self.of_boxes, self.of_classes = nn.ModuleList(), nn.ModuleList()
        for head in (self.of_boxes, self.of_classes):
            for _ in range(CONVOLUTIONS):
                head.append(nn.Conv2d(filters, filters, 3, padding=1))
        self.codes = nn.Conv2d(filters, 4 * EACH, 3, padding=1)
        self.logits = nn.Conv2d(filters, classes * EACH, 3, padding=1)
        nn.init.constant_(self.logits.bias, PRIOR)
        self.relu = nn.ReLU()
        levels = anchors(side)
        self.levels = [len(one) for one in levels]
        every = torch.cat([torch.from_numpy(one) for one in levels])
        self.register_buffer("anchors", every, persistent=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:  # (n, 3, 800, 800)
        maps = self.pyramid(x)  # (n, 256, 100, 100), (n, 256, 50, 50), (n, 256, 25, 25)
        maps.append(self.p6(maps[-1]))  # (n, 256, 13, 13)
        maps.append(self.p7(self.relu(maps[-1])))  # (n, 256, 7, 7)
        codes: list[Tensor] = []
        logits: list[Tensor] = []
        for one in maps:
            x = one
            for conv in self.of_boxes:
                x = self.relu(conv(x))
            codes.append(flat(self.codes(x), 4))
            x = one
            for conv in self.of_classes:
                x = self.relu(conv(x))
            logits.append(flat(self.logits(x), self.classes))
        found = {"codes": torch.cat(codes, 1), "logits": torch.cat(logits, 1)}
        for index, part in enumerate(self.anchors.split(self.levels)):
            found[f"anchors{index}"] = part
        return found  # (n, 120087, 4), (n, 120087, 91), and (90000, 4) to (441, 4)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    side, classes = task.inputs["image"].shape[0], task.targets["objects.classes"].count
    return RetinaNet(side, classes=classes, **task.settings)


def _levels(outputs: Mapping[str, Tensor]) -> list[Tensor]:
    return [outputs[f"anchors{index}"] for index in range(5)]


def matching(anchors: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
    """The object (n, anchors) that each anchor answers for, -1, or ``NEITHER``."""
    found = shares(targets["objects.boxes"], targets["objects.mask"], anchors)
    return restored(found, assigned(found, LOW, HIGH))


def choices(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the loss chooses, by name."""
    return {"objects": matching(torch.cat(_levels(outputs)), targets)}


def loss(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The losses of boxes and of classes, for an anchor with an object."""
    anchors = torch.cat(_levels(outputs))
    codes, logits = (outputs[name].to(anchors.dtype) for name in ("codes", "logits"))
    objects = matching(anchors, targets)
    there, counted = objects >= 0, objects != NEITHER
    count = there.sum(1).clamp(min=1)
    boxes = encoded(at(targets["objects.boxes"], objects), anchors, WEIGHTS)
    apart = ((codes - boxes).abs().sum(-1) * there).sum(1) / count
    wanted = one_hot(at(targets["objects.classes"], objects), logits.shape[-1])
    wanted = (wanted * there[..., None]).to(logits.dtype)
    lost = binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    scores = logits.sigmoid()
    missed = scores + wanted - 2 * scores * wanted  # 1 - p of what is wanted
    lost = lost * missed**GAMMA * (ALPHA * wanted + (1 - ALPHA) * (1 - wanted))
    focal = (lost.sum(-1) * counted).sum(1) / count
    return {"box": apart.mean(), "class": focal.mean()}


def postprocess(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The detections: boxes, scores, classes and anchors of the best ones."""
    levels = _levels(outputs)
    anchors = torch.cat(levels)
    boxes = decoded(outputs["codes"].to(anchors.dtype), anchors, WEIGHTS).clamp(0, 1)
    return detected(
        boxes,
        outputs["logits"].to(anchors.dtype).sigmoid(),
        [len(one) for one in levels],
        floor=FLOOR,
        candidates=CANDIDATES,
        limit=LIMIT,
        most=MOST,
    )
