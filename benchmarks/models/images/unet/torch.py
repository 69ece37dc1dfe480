"""The U-Net in PyTorch."""

import torch
from torch import Tensor, nn

from benchmarks.models.images.unet import DEPTH
from benchmarks.tasks.task import Task


class Pair(nn.Module):
    """Two 3x3 convolutions, each with ReLU."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, padding=1)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:  # (n, inputs, h, w)
        return self.relu(self.conv2(self.relu(self.conv1(x))))  # (n, filters, h, w)


class UNet(nn.Module):
    """Pairs at five sizes on the way down, and on the way up beside what was kept of each."""

    def __init__(self, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.down, self.grow, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.pool = nn.MaxPool2d(2)
        inputs = channels
        for depth in range(DEPTH):
            self.down.append(Pair(inputs, width * 2**depth))
            inputs = width * 2**depth
        self.bottom = Pair(inputs, width * 2**DEPTH)
        for depth in reversed(range(DEPTH)):
            filters = width * 2**depth
            self.grow.append(nn.ConvTranspose2d(2 * filters, filters, 2, stride=2))
            self.up.append(Pair(2 * filters, filters))
        self.score = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:  # (n, 1, 256, 256)
        kept = []
        for pair in self.down:
            x = pair(x)
            kept.append(x)
            x = self.pool(x)
        x = self.bottom(x)  # (n, 1024, 16, 16)
        for grow, pair in zip(self.grow, self.up, strict=True):
            x = pair(torch.cat([kept.pop(), grow(x)], 1))
        return self.score(x)  # (n, 2, 256, 256)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    channels = task.inputs["image"].shape[2]
    return UNet(channels, task.settings["width"], task.targets["mask"].count)
