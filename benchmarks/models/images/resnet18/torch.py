"""ResNet-18 in PyTorch."""

from torch import Tensor, nn

from benchmarks.models._resnet import LAST_SCALE
from benchmarks.models._resnet.torch import norm
from benchmarks.models.images.resnet18 import STAGES
from benchmarks.tasks.task import Task


class Block(nn.Module):
    """Two 3x3 convolutions, the first with the stride, added to a shortcut."""

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride=stride, padding=1, bias=False)
        self.bn1 = norm(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = norm(filters)
        nn.init.constant_(self.bn2.weight, LAST_SCALE)
        self.project = stride > 1
        if self.project:
            self.shortcut_conv = nn.Conv2d(inputs, filters, 1, stride=stride, bias=False)
            self.shortcut_bn = norm(filters)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:  # (n, inputs, h, w)
        shortcut = self.shortcut_bn(self.shortcut_conv(x)) if self.project else x
        x = self.relu(self.bn1(self.conv1(x)))  # (n, filters, h/stride, w/stride)
        return self.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet18(nn.Module):
    """A strided convolution, four stages of two blocks, and a dense layer on their mean."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(64)
        self.relu1 = nn.ReLU(inplace=True)
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = nn.Sequential()
        inputs = 64
        for filters, stride in STAGES:
            self.stages.append(
                nn.Sequential(Block(inputs, filters, stride), Block(filters, filters, 1))
            )
            inputs = filters
        self.pool2 = nn.AdaptiveAvgPool2d(1)
        self.dense = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 224, 224)
        x = self.pool1(self.relu1(self.bn1(self.conv1(x))))  # (n, 64, 56, 56)
        x = self.stages(x)  # (n, 512, 7, 7)
        return self.dense(self.pool2(x).flatten(1))  # (n, 1000)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return ResNet18(task.inputs["image"].shape[2], task.targets["label"].count)
