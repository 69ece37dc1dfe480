"""Inception-v3 in PyTorch."""

import torch
from torch import Tensor, nn

from benchmarks.models.images._blocks.torch import ConvNorm
from benchmarks.models.images.inception_v3 import BLOCKS, EPSILON, LAST_SCALE, Conv, Step
from benchmarks.tasks.task import Task


class Beside(nn.Module):
    """Branches that are given the same map, their maps put side by side."""

    def __init__(self, branches: list[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:  # (n, inputs, h, w)
        return torch.cat([branch(x) for branch in self.branches], 1)


def conv(inputs: int, one: Conv) -> nn.Module:
    """A convolution, batch normalisation and ReLU."""
    valid = one.stride > 1
    return ConvNorm(
        inputs, one.filters, one.kernel, epsilon=EPSILON, stride=one.stride, valid=valid
    )


def step(inputs: int, one: Step) -> tuple[nn.Module, int]:
    """One step of a branch, and the channels that it gives."""
    if one == "mean":
        return nn.AvgPool2d(3, stride=1, padding=1), inputs  # the padding counts
    if one == "max":
        return nn.MaxPool2d(3, stride=2), inputs
    if isinstance(one, Conv):
        return conv(inputs, one), one.filters
    return Beside([conv(inputs, each) for each in one]), sum(each.filters for each in one)


class InceptionV3(nn.Module):
    """Five convolutions, eleven blocks of branches, and a dense layer on their mean."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            ConvNorm(channels, 32, epsilon=EPSILON, stride=2, valid=True),
            ConvNorm(32, 32, epsilon=EPSILON, valid=True),
            ConvNorm(32, 64, epsilon=EPSILON),  # (n, 64, 147, 147)
            nn.MaxPool2d(3, stride=2),
            ConvNorm(64, 80, 1, epsilon=EPSILON),
            ConvNorm(80, 192, epsilon=EPSILON, valid=True),  # (n, 192, 71, 71)
            nn.MaxPool2d(3, stride=2),
        )
        self.blocks = nn.Sequential()
        inputs = 192
        for block in BLOCKS:
            branches: list[nn.Module] = []
            total = 0
            for steps in block:
                branch, width = nn.Sequential(), inputs
                for one in steps:
                    module, width = step(width, one)
                    branch.append(module)
                branches.append(branch)
                total += width
            self.blocks.append(Beside(branches))
            inputs = total
        for module in self.blocks[-1].modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, LAST_SCALE)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.5)
        self.dense = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 299, 299)
        x = self.stem(x)  # (n, 192, 35, 35)
        x = self.blocks(x)  # (n, 2048, 8, 8)
        x = self.pool(x).flatten(1)  # (n, 2048)
        return self.dense(self.drop(x))  # (n, 1000)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return InceptionV3(task.inputs["image"].shape[2], task.targets["label"].count)
