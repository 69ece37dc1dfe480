"""EfficientNet-B0 in PyTorch."""

from torch import Tensor, nn

from benchmarks.models.images._blocks.torch import ConvNorm
from benchmarks.models.images.efficientnet_b0 import SQUEEZE, STAGES
from benchmarks.tasks.task import Task


class Gate(nn.Module):
    """Scales each channel by what two 1x1 convolutions make of the means of all."""

    def __init__(self, channels: int, few: int) -> None:
        super().__init__()
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, few, 1)
        self.expand = nn.Conv2d(few, channels, 1)

    def forward(self, x: Tensor) -> Tensor:  # (n, channels, h, w)
        y = nn.functional.silu(self.reduce(self.mean(x)))  # (n, few, 1, 1)
        return x * self.expand(y).sigmoid()


class Block(nn.Module):
    """1x1 to more channels, one kernel on each, a gate, 1x1 to few; added to its input."""

    def __init__(self, inputs: int, filters: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = expansion * inputs
        layers = nn.Sequential()
        if expansion > 1:
            layers.add_module("expand", ConvNorm(inputs, wide, 1, activation=nn.SiLU))
        depthwise = ConvNorm(wide, wide, kernel, stride=stride, groups=wide, activation=nn.SiLU)
        layers.add_module("depthwise", depthwise)
        layers.add_module("gate", Gate(wide, inputs // SQUEEZE))
        layers.add_module("project", ConvNorm(wide, filters, 1, activation=nn.Identity))
        self.layers = layers
        self.residual = stride == 1 and inputs == filters

    def forward(self, x: Tensor) -> Tensor:  # (n, inputs, h, w)
        y = self.layers(x)  # (n, filters, h/stride, w/stride)
        return x + y if self.residual else y


class EfficientNetB0(nn.Module):
    """A strided convolution, seven stages of blocks, a 1x1 convolution, and a dense layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, 32, stride=2, activation=nn.SiLU)
        self.blocks = nn.Sequential()
        inputs = 32
        for expansion, kernel, first_stride, filters, blocks in STAGES:
            for at in range(blocks):
                stride = first_stride if at == 0 else 1
                self.blocks.append(Block(inputs, filters, kernel, stride, expansion))
                inputs = filters
        self.last = ConvNorm(inputs, 1280, 1, activation=nn.SiLU)
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
    return EfficientNetB0(task.inputs["image"].shape[2], task.targets["label"].count)
