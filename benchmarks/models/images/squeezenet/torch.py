"""SqueezeNet 1.0 in PyTorch."""

import torch
from torch import Tensor, nn

from benchmarks.models.images.squeezenet import FIRES, POOL
from benchmarks.tasks.task import Task


class Fire(nn.Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 convolutions side by side."""

    def __init__(self, inputs: int, few: int, half: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, few, 1)
        self.expand1 = nn.Conv2d(few, half, 1)
        self.expand3 = nn.Conv2d(few, half, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:  # (n, inputs, h, w)
        x = self.relu(self.squeeze(x))  # (n, few, h, w)
        halves = [self.relu(self.expand1(x)), self.relu(self.expand3(x))]
        return torch.cat(halves, 1)  # (n, 2 half, h, w)


class SqueezeNet(nn.Module):
    """A convolution, eight fire modules, and a convolution that scores the classes."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 96, 7, stride=2)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.fires = nn.Sequential()
        inputs = 96
        for few, half in FIRES:
            self.fires.append(self.pool if few == POOL else Fire(inputs, few, half))
            inputs = 2 * half or inputs
        self.drop = nn.Dropout(0.5)
        self.conv2 = nn.Conv2d(inputs, classes, 1)
        self.mean = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 224, 224)
        x = self.pool(self.relu(self.conv1(x)))  # (n, 96, 54, 54)
        x = self.fires(x)  # (n, 512, 13, 13)
        x = self.relu(self.conv2(self.drop(x)))  # (n, 1000, 13, 13)
        return self.mean(x).flatten(1)  # (n, 1000)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return SqueezeNet(task.inputs["image"].shape[2], task.targets["label"].count)
