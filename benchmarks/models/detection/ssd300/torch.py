"""SSD300 in PyTorch."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, smooth_l1_loss

from benchmarks.models._learned.torch import LayerScale
from benchmarks.models.detection._shared.torch import (
    assigned,
    at,
    decoded,
    encoded,
    first_best,
    flat,
    greedy,
    last_of,
    listed,
    shares,
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


class SSD300(nn.Module):
    """VGG-16 without its head, further maps, and two convolutions of each of six maps."""

    anchors: Tensor

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classes, channels = classes, 3
        self.stages, self.extra = nn.ModuleList(), nn.ModuleList()
        for convolutions, multiple in STAGES:
            stage = nn.ModuleList()
            for _ in range(convolutions):
                stage.append(nn.Conv2d(channels, multiple * width, 3, padding=1))
                channels = multiple * width
            self.stages.append(stage)
        self.scale = LayerScale(channels, 20.0)
        self.conv6 = nn.Conv2d(channels, 16 * width, 3, padding=6, dilation=6)
        self.conv7 = nn.Conv2d(16 * width, 16 * width, 1)
        maps = [channels, 16 * width]
        for narrow, wide, stride in EXTRA:
            first = nn.Conv2d(maps[-1], narrow * width, 1)
            second = nn.Conv2d(narrow * width, wide * width, 3, stride, padding=stride - 1)
            self.extra.append(nn.ModuleList([first, second]))
            maps.append(wide * width)
        self.relu, self.pools = nn.ReLU(), nn.ModuleList()
        for size, step in POOLS:
            self.pools.append(nn.MaxPool2d(size, step, padding=(size - 1) // 2, ceil_mode=True))
        self.codes = nn.ModuleList(
            nn.Conv2d(inputs, 4 * each(level), 3, padding=1) for level, inputs in enumerate(maps)
        )
        self.logits = nn.ModuleList(
            nn.Conv2d(inputs, classes * each(level), 3, padding=1)
            for level, inputs in enumerate(maps)
        )
        self.register_buffer("anchors", torch.from_numpy(anchors()), persistent=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:  # (n, 3, 300, 300)
        maps: list[Tensor] = []
        for index, (stage, pool) in enumerate(zip(self.stages, self.pools)):  # noqa: B905 - TorchScript
            for conv in stage:
                x = self.relu(conv(x))
            if index == SCALED:  # (n, 512, 38, 38)
                maps.append(self.scale(normalize(x, dim=1).movedim(1, -1)).movedim(-1, 1))
            x = pool(x)
        x = self.relu(self.conv7(self.relu(self.conv6(x))))
        maps.append(x)  # (n, 1024, 19, 19)
        for block in self.extra:
            for conv in block:
                x = self.relu(conv(x))
            maps.append(x)  # (n, 512, 10, 10), (n, 256, 5, 5), (n, 256, 3, 3), (n, 256, 1, 1)
        codes: list[Tensor] = []
        logits: list[Tensor] = []
        for index, head in enumerate(self.codes):
            codes.append(flat(head(maps[index]), 4))
        for index, head in enumerate(self.logits):
            logits.append(flat(head(maps[index]), self.classes))
        return {
            "codes": torch.cat(codes, 1),  # (n, 8732, 4)
            "logits": torch.cat(logits, 1),  # (n, 8732, 21)
            "anchors": self.anchors,
        }


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return SSD300(task.settings["width"], 1 + task.targets["objects.classes"].count)


class Chosen(NamedTuple):
    """The object of each anchor (n, anchors), or -1, and which of the others count."""

    objects: Tensor
    negative: Tensor


def matching(anchors: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
    """The object (n, anchors) that each anchor answers for, or -1."""
    there = targets["objects.mask"]
    found = shares(targets["objects.boxes"], there, anchors)
    number = torch.arange(len(anchors), device=anchors.device)
    best = last_of((first_best(found)[..., None] == number) & there[..., None])
    return torch.where(best >= 0, best, assigned(found, OVERLAP, OVERLAP))


def hardest(losses: Tensor, objects: Tensor) -> Tensor:
    """Which anchors without an object (n, anchors) have the highest losses of their image."""
    others = torch.where(objects >= 0, -1.0, losses)
    rank = others.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return rank < NEGATIVES * (objects >= 0).sum(1, keepdim=True)


def _losses(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> tuple[Chosen, Tensor]:
    """What is chosen, and the cross-entropy (n, anchors) of every anchor."""
    logits = outputs["logits"].to(outputs["anchors"].dtype)
    objects = matching(outputs["anchors"], targets)
    wanted = torch.where(objects >= 0, at(targets["objects.classes"], objects) + 1, 0)
    losses = cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
    losses = losses.view(wanted.shape)
    return Chosen(objects, hardest(losses.detach(), objects)), losses


def choices(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the loss chooses, by name."""
    chosen, _ = _losses(outputs, targets)
    return chosen._asdict()


def loss(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The losses of boxes and of classes, for an anchor with an object."""
    anchors = outputs["anchors"]
    (objects, negative), losses = _losses(outputs, targets)
    there = objects >= 0
    wanted = encoded(at(targets["objects.boxes"], objects), anchors, WEIGHTS)
    apart = smooth_l1_loss(outputs["codes"].to(anchors.dtype), wanted, reduction="none")
    count = there.sum().clamp(min=1)
    return {
        "box": (apart.sum(-1) * there).sum() / count,
        "class": (losses * (there | negative)).sum() / count,
    }


def postprocess(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The detections: boxes, scores, classes and anchors of the best ones."""
    anchors = outputs["anchors"]
    scores = outputs["logits"].to(anchors.dtype).softmax(-1)[..., 1:].transpose(1, 2)
    every = decoded(outputs["codes"].to(anchors.dtype), anchors, WEIGHTS).clamp(0, 1)
    held, index = strongest(scores, FLOOR, CANDIDATES)  # (n, 20, 400)
    boxes = at(every, index.flatten(1)).view(*index.shape, 4)
    keep = greedy(boxes, index >= 0, LIMIT)
    classes = torch.arange(scores.shape[1], device=index.device)[:, None].expand_as(index)
    scores, classes, index = (one.flatten(1) for one in (held * keep, classes, index))
    return listed(boxes.flatten(1, 2), scores, classes, index, MOST)
