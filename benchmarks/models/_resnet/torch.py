"""The body of ResNet-50 v1.5 in PyTorch."""

from collections import OrderedDict
from typing import Final

from torch import Tensor, nn

from benchmarks.models._resnet import EPSILON, EXPANSION, LAST_SCALE, MOMENTUM, STAGES


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the constants that both twins use."""
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=1 - MOMENTUM)


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1, added to a shortcut."""

    project: Final[bool]  # TorchScript leaves out the branch that a constant rules out

    def __init__(self, inputs: int, filters: int, stride: int, *, project: bool) -> None:
        super().__init__()
        outputs = EXPANSION * filters
        self.conv1 = nn.Conv2d(inputs, filters, 1, bias=False)
        self.bn1 = norm(filters)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(filters, filters, 3, stride=stride, padding=1, bias=False)
        self.bn2 = norm(filters)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(filters, outputs, 1, bias=False)
        self.bn3 = norm(outputs)
        nn.init.constant_(self.bn3.weight, LAST_SCALE)
        self.project = project
        if project:
            self.shortcut_conv = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut_bn = norm(outputs)
        self.relu3 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:  # (n, inputs, h, w)
        shortcut = self.shortcut_bn(self.shortcut_conv(x)) if self.project else x
        x = self.relu1(self.bn1(self.conv1(x)))  # (n, filters, h, w)
        x = self.relu2(self.bn2(self.conv2(x)))  # (n, filters, h/stride, w/stride)
        x = self.bn3(self.conv3(x))  # (n, 4 filters, h/stride, w/stride)
        return self.relu3(x + shortcut)


def body(channels: int, width: int = 64) -> "OrderedDict[str, nn.Module]":
    """The modules from the image (n, channels, h, w) to the last map (n, 2048, h/32, w/32).

    Another ``width`` than 64 makes every map narrower.
    """
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    modules["conv1"] = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
    modules["bn1"] = norm(width)
    modules["relu1"] = nn.ReLU(inplace=True)
    modules["pool1"] = nn.MaxPool2d(3, stride=2, padding=1)
    inputs = width
    for stage, (blocks, multiple, first_stride) in enumerate(STAGES, start=1):
        filters = multiple * width
        sequence = nn.Sequential()
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            sequence.append(Bottleneck(inputs, filters, stride, project=block == 0))
            inputs = EXPANSION * filters
        modules[f"layer{stage}"] = sequence
    return modules
