"""What detectors share, in PyTorch's operations."""

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from benchmarks.models._resnet import EXPANSION, STAGES
from benchmarks.models._resnet.torch import body
from benchmarks.models.detection._shared import (
    CANONICAL,
    CLOSE,
    FINEST,
    FROZEN,
    LARGEST,
    LAST,
    LEVEL,
    NEITHER,
    POINTS,
)
from benchmarks.models.detection._shared.anchors import starts


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of all boxes (..., i, 4) with all (..., j, 4): (..., i, j)."""
    a, b = a[..., :, None, :], b[..., None, :, :]
    wide = torch.minimum(a[..., 2], b[..., 2]) - torch.maximum(a[..., 0], b[..., 0])
    high = torch.minimum(a[..., 3], b[..., 3]) - torch.maximum(a[..., 1], b[..., 1])
    common = wide.clamp(min=0) * high.clamp(min=0)
    areas = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1)
    return common / (areas - common).clamp(min=1e-12)


def encoded(boxes: Tensor, anchors: Tensor, weights: tuple[float, float]) -> Tensor:
    """Boxes (..., 4) as seen from anchors (..., 4): centres and sizes, times their weights.

    Centres are apart by shares of the anchor's size, sizes by the logarithm of their ratio.
    """
    size, own = boxes[..., 2:] - boxes[..., :2], anchors[..., 2:] - anchors[..., :2]
    apart = (boxes[..., 2:] + boxes[..., :2] - anchors[..., 2:] - anchors[..., :2]) / 2
    return torch.cat([weights[0] * apart / own, weights[1] * (size / own).log()], -1)


def decoded(codes: Tensor, anchors: Tensor, weights: tuple[float, float]) -> Tensor:
    """The boxes that ``encoded`` gives these codes; none is larger than ``LARGEST`` anchors."""
    own = anchors[..., 2:] - anchors[..., :2]
    centre = (anchors[..., 2:] + anchors[..., :2]) / 2 + codes[..., :2] / weights[0] * own
    half = (codes[..., 2:] / weights[1]).clamp(max=math.log(LARGEST)).exp() * own / 2
    return torch.cat([centre - half, centre + half], -1)


def shares(boxes: Tensor, there: Tensor, anchors: Tensor) -> Tensor:
    """The overlap (n, m, anchors) of objects with anchors (anchors, 4) or (n, anchors, 4).

    -1 for an object that is not there, by the mask (n, m).
    """
    return torch.where(there[..., None], overlap(boxes, anchors), -1.0)


def assigned(found: Tensor, low: float, high: float) -> Tensor:
    """The object (n, anchors) that each anchor overlaps most, of overlaps (n, m, anchors).

    -1 where that is less than ``low``, ``NEITHER`` where it is less than ``high``.
    """
    best, objects = found.max(1)
    objects = torch.where(best < high, NEITHER, objects)
    return torch.where(best < low, -1, objects)


def last_of(is_of: Tensor) -> Tensor:
    """The last object (n, anchors) of those that anchors are given to (n, m, anchors), else -1."""
    number = torch.arange(1, is_of.shape[1] + 1, device=is_of.device)
    return (is_of * number[:, None]).amax(1) - 1


def first_best(shares: Tensor) -> Tensor:
    """Along the last axis, the first index of those within ``CLOSE`` of the largest."""
    best = shares.amax(-1, keepdim=True)
    return (shares >= best - CLOSE).to(torch.uint8).argmax(-1)


def at(table: Tensor, index: Tensor) -> Tensor:
    """The rows (n, k, ...) of tables (n, m, ...) that indices (n, k) name; the first one for -1."""
    index = index.clamp(min=0)
    if table.ndim == index.ndim:
        return table.gather(1, index)
    return table.gather(1, index[..., None].expand(*index.shape, table.shape[-1]))


def greedy(boxes: Tensor, there: Tensor, limit: float, kinds: Tensor | None = None) -> Tensor:
    """Which of boxes (..., k, 4), the best first, non-maximum suppression keeps: (..., k).

    A box goes where one before it that is kept overlaps it by more than ``limit`` and is of the
    same kind. That has one solution, which is found by repeating it until nothing changes.
    """
    before = torch.ones(boxes.shape[-2], boxes.shape[-2], device=boxes.device).triu(1).bool()
    clash = (overlap(boxes, boxes) > limit) & before & there[..., :, None]
    if kinds is not None:
        clash = clash & (kinds[..., :, None] == kinds[..., None, :])
    keep = there
    while True:
        again = there & ~(clash & keep[..., :, None]).any(-2)
        if torch.equal(again, keep):
            return keep
        keep = again


def restored(found: Tensor, objects: Tensor) -> Tensor:
    """What is ``assigned`` to anchors, and to those that an object overlaps most, whatever that is.

    They answer for the object that they overlap most themselves.
    """
    best = found.amax(2, keepdim=True)
    most = (found >= best - CLOSE) & (best > 0)
    return torch.where(most.any(1), found.argmax(1), objects)


def strongest(scores: Tensor, floor: float, most: int) -> tuple[Tensor, Tensor]:
    """The largest of scores (..., k) above ``floor``, and their indices: (..., most) each.

    Where there are fewer, the scores are 0 and the indices -1.
    """
    held, index = torch.where(scores > floor, scores, 0.0).topk(min(most, scores.shape[-1]))
    return held, torch.where(held > 0, index, -1)


def listed(
    boxes: Tensor, scores: Tensor, classes: Tensor, anchors: Tensor, most: int
) -> dict[str, Tensor]:
    """The detections of the highest scores of (n, k), those of score 0 left out: (n, most) each.

    ``boxes`` (n, most, 4), ``scores``, ``classes``, and ``kept``: the anchor of each.
    """
    held, index = strongest(scores, 0.0, most)
    there = index >= 0
    return {
        "boxes": at(boxes, index) * there[..., None],
        "scores": held,
        "classes": torch.where(there, at(classes, index), -1),
        "kept": torch.where(there, at(anchors, index), -1),
    }


def detected(
    boxes: Tensor,
    scores: Tensor,
    levels: Sequence[int],
    *,
    floor: float,
    candidates: int,
    limit: float,
    most: int,
) -> dict[str, Tensor]:
    """As ``listed``: the best of boxes (n, anchors, 4) by their scores (n, anchors, classes).

    Of each of the ``levels``, which have so many anchors, those are looked at whose scores are
    among the highest ``candidates`` and above ``floor``; of two of a class that overlap by more
    than ``limit``, the lower goes.
    """
    many, pairs = scores.shape[-1], []
    for part, first in zip(scores.split(list(levels), 1), starts(levels), strict=True):
        held, index = strongest(part.flatten(1), floor, candidates)
        pairs.append((held, torch.where(index >= 0, index + first * many, -1)))
    held, index = (torch.cat(parts, 1) for parts in zip(*pairs, strict=True))
    held, order = held.topk(held.shape[1])
    index = at(index, order)
    anchors, classes = index // many, index % many
    found = at(boxes, anchors)
    keep = greedy(found, index >= 0, limit, classes)
    return listed(found, held * keep, classes, anchors, most)


def sampled(
    positive: Tensor, negative: Tensor, key: Tensor, most: int, first: int
) -> tuple[Tensor, Tensor]:
    """Which of the positive and of the negative ones (n, k) are taken, those of the lowest keys.

    At most ``first`` positive ones, and ``most`` together.
    """

    def rank(those: Tensor) -> Tensor:
        return torch.where(those, key, LAST).argsort(dim=1).argsort(dim=1)

    taken = positive & (rank(positive) < first)
    left = most - taken.sum(1, keepdim=True)
    return taken, negative & (rank(negative) < left)


def aligned(maps: Sequence[Tensor], regions: Tensor, side: int) -> Tensor:
    """The features (n, regions, 7 * 7 * channels) of regions (n, regions, 4) in their maps.

    He et al.: Mask R-CNN, 2017, as in torchvision: each of 7 x 7 bins is the mean of four points
    between pixels, not shifted by half a pixel; a region is taken from the map of its size.
    """
    table = torch.cat([one.flatten(2).transpose(1, 2) for one in maps], 1)  # (n, pixels, channels)
    size = regions[..., 2:] - regions[..., :2]
    levels = LEVEL + (size.prod(-1).sqrt() * side / CANONICAL).log2() + CLOSE
    level = (levels.floor().clamp(FINEST, FINEST + len(maps) - 1) - FINEST).long()
    sides = [one.shape[-1] for one in maps]
    cells = torch.tensor(sides, device=level.device)[level][..., None]
    begin = torch.tensor(starts([s * s for s in sides]), device=level.device)[level]
    begin = begin + table.shape[1] * torch.arange(len(begin), device=level.device)[:, None]
    share = (torch.arange(POINTS, device=level.device, dtype=size.dtype) + 0.5) / POINTS
    low, high, weights = [], [], []
    for axis in (0, 1):  # (n, regions, points) each
        extent = (size[..., axis, None] * cells).clamp(min=1)
        at_ = regions[..., axis, None] * cells + extent * share
        inside = ((at_ >= -1) & (at_ <= cells)).to(size.dtype)
        whole = at_.clamp(min=0).floor().minimum(cells - 1)
        part = (at_.clamp(min=0) - whole) * (whole < cells - 1)
        low.append(whole.long())
        high.append((whole.long() + 1).minimum(cells - 1))
        weights.append((inside * (1 - part), inside * part))
    found = torch.zeros((), dtype=table.dtype, device=table.device)
    flat_table = table.flatten(0, 1)
    for rows, of_row in ((low[1], weights[1][0]), (high[1], weights[1][1])):
        for columns, of_column in ((low[0], weights[0][0]), (high[0], weights[0][1])):
            index = begin[..., None, None] + rows[..., None] * cells[..., None]
            index = index + columns[..., None, :]
            weight = of_row[..., :, None] * of_column[..., None, :]
            found = found + flat_table[index] * weight[..., None].to(table.dtype)
    bins = found.unflatten(3, (POINTS // 2, 2)).unflatten(2, (POINTS // 2, 2))
    return bins.mean((3, 5)).flatten(2)


def flat(x: Tensor, each: int) -> Tensor:
    """A map (n, anchors * each, h, w) as a list (n, h * w * anchors, each)."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, each)


class Pyramid(nn.Module):
    """ResNet-50 whose normalisation is frozen, and a pyramid of the maps of its last stages.

    Lin et al.: Feature pyramid networks for object detection, 2017.
    """

    def __init__(self, channels: int, width: int, filters: int, stages: int) -> None:
        super().__init__()
        for name, module in body(channels, width).items():
            self.add_module(name, module)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(requires_grad=False)
                module.weight.mul_(FROZEN)
        self.inner, self.outer = nn.ModuleList(), nn.ModuleList()
        for _, multiple, _ in STAGES[-stages:]:
            self.inner.append(nn.Conv2d(EXPANSION * multiple * width, filters, 1))
            self.outer.append(nn.Conv2d(filters, filters, 3, padding=1))
        self.skipped = len(STAGES) - stages
        self.grow = nn.Upsample(scale_factor=2.0, mode="nearest")

    def train(self, mode: bool = True) -> Self:
        """All but the normalisation trains."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """The maps of an image (n, 3, h, w), the finest first, all of the same channels."""
        x = self.pool1(self.relu1(self.bn1(self.conv1(x))))  # (n, 64, h/4, w/4)
        maps = [self.layer1(x)]
        maps.append(self.layer2(maps[-1]))
        maps.append(self.layer3(maps[-1]))
        maps.append(self.layer4(maps[-1]))  # (n, 2048, h/32, w/32)
        found: list[Tensor] = []
        for index, conv in enumerate(self.inner):
            found.append(conv(maps[index + self.skipped]))
        for index in range(len(found) - 2, -1, -1):
            found[index] = found[index] + self.grow(found[index + 1])
        for index, conv in enumerate(self.outer):
            found[index] = conv(found[index])
        return found
