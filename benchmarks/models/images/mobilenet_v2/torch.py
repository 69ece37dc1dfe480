"""MobileNetV2 in PyTorch."""

from torch import Tensor, nn

from benchmarks.models.images._blocks.torch import ConvNorm
from benchmarks.models.images.mobilenet_v2 import STAGES
from benchmarks.tasks.task import Task


class Block(nn.Module):
    """1x1 to more channels, 3x3 on each channel alone, 1x1 to few; added to its input."""

    def __init__(self, inputs: int, filters: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * inputs
        layers = nn.Sequential()
        if expansion > 1:
            layers.add_module("expand", ConvNorm(inputs, wide, 1, activation=nn.ReLU6))
        depthwise = ConvNorm(wide, wide, stride=stride, groups=wide, activation=nn.ReLU6)
        layers.add_module("depthwise", depthwise)
        layers.add_module("project", ConvNorm(wide, filters, 1, activation=nn.Identity))
        self.layers = layers
        self.residual = stride == 1 and inputs == filters

    def forward(self, x: Tensor) -> Tensor:  # (n, inputs, h, w)
        y = self.layers(x)  # (n, filters, h/stride, w/stride)
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """A strided convolution, seven stages of blocks, a 1x1 convolution, and a dense layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, 32, stride=2, activation=nn.ReLU6)
        self.blocks = nn.Sequential()
        inputs = 32
        for expansion, first_stride, filters, blocks in STAGES:
            for at in range(blocks):
                stride = first_stride if at == 0 else 1
                self.blocks.append(Block(inputs, filters, stride, expansion))
                inputs = filters
        self.last = ConvNorm(inputs, 1280, 1, activation=nn.ReLU6)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.2)
        self.dense = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 224, 224)
        x = self.first(x)  # (n, 32, 112, 112)
        x = self.blocks(x)  # (n, 320, 7, 7)
        x = self.pool(self.last(x)).flatten(1)  # (n, 1280)
        return self.dense(self.drop(x))  # (n, 1000)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return MobileNetV2(task.inputs["image"].shape[2], task.targets["label"].count)
