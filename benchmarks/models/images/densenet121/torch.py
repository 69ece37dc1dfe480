"""DenseNet-121 in PyTorch."""

import torch
from torch import Tensor, nn

from benchmarks.models.images._blocks import MOMENTUM
from benchmarks.models.images.densenet121 import BLOCKS, BOTTLENECK, GROWTH
from benchmarks.tasks.task import Task


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the constants that both twins use."""
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=1 - MOMENTUM)


class Layer(nn.Module):
    """A 1x1 and a 3x3 convolution, each behind its normalisation, beside what they were given."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.bn1 = norm(inputs)
        self.conv1 = nn.Conv2d(inputs, BOTTLENECK, 1, bias=False)
        self.bn2 = norm(BOTTLENECK)
        self.conv2 = nn.Conv2d(BOTTLENECK, GROWTH, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:  # (n, inputs, h, w)
        y = self.conv1(self.relu(self.bn1(x)))  # (n, 128, h, w)
        y = self.conv2(self.relu(self.bn2(y)))  # (n, 32, h, w)
        return torch.cat([x, y], 1)  # (n, inputs + 32, h, w)


class Transition(nn.Module):
    """A 1x1 convolution to half the channels, and the mean of each 2x2."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.bn = norm(inputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(inputs, inputs // 2, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:  # (n, inputs, h, w)
        return self.pool(self.conv(self.relu(self.bn(x))))  # (n, inputs/2, h/2, w/2)


class DenseNet121(nn.Module):
    """A strided convolution, four dense blocks with transitions between, and a dense layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        width = 2 * GROWTH
        self.conv1 = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.blocks = nn.Sequential()
        for at, count in enumerate(BLOCKS):
            block = nn.Sequential(*(Layer(width + GROWTH * place) for place in range(count)))
            self.blocks.add_module(f"dense{at}", block)
            width += GROWTH * count
            if at + 1 < len(BLOCKS):
                self.blocks.add_module(f"transition{at}", Transition(width))
                width //= 2
        self.bn2 = norm(width)
        self.pool2 = nn.AdaptiveAvgPool2d(1)
        self.dense = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 224, 224)
        x = self.pool1(self.relu(self.bn1(self.conv1(x))))  # (n, 64, 56, 56)
        x = self.relu(self.bn2(self.blocks(x)))  # (n, 1024, 7, 7)
        return self.dense(self.pool2(x).flatten(1))  # (n, 1000)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return DenseNet121(task.inputs["image"].shape[2], task.targets["label"].count)
