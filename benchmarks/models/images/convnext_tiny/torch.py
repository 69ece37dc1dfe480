"""ConvNeXt-T in PyTorch."""

from torch import Tensor, nn

from benchmarks.models._learned.torch import LayerScale
from benchmarks.models.images.convnext_tiny import EPSILON, STAGES, START
from benchmarks.tasks.task import Task


class MapNorm(nn.LayerNorm):
    """Layer normalisation over the channels of a channels-first map."""

    def forward(self, x: Tensor) -> Tensor:  # (n, channels, h, w)
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """7x7 on each channel alone, two dense layers over the channels, scaled and added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        self.dense1 = nn.Linear(channels, 4 * channels)
        self.gelu = nn.GELU()
        self.dense2 = nn.Linear(4 * channels, channels)
        self.scale = LayerScale(channels, START)

    def forward(self, x: Tensor) -> Tensor:  # (n, channels, h, w)
        y = self.norm(self.conv(x).permute(0, 2, 3, 1))  # (n, h, w, channels)
        y = self.scale(self.dense2(self.gelu(self.dense1(y))))
        return x + y.permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    """4x4 patches, four stages of blocks with strided convolutions between, and a dense layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.stages = nn.Sequential()
        for at, (blocks, width) in enumerate(STAGES):
            strided = nn.Conv2d(channels, width, 2, stride=2)
            first: list[nn.Module] = [MapNorm(channels, eps=EPSILON), strided]
            if at == 0:
                strided = nn.Conv2d(channels, width, 4, stride=4)
                first = [strided, MapNorm(width, eps=EPSILON)]
            self.stages.append(nn.Sequential(*first, *(Block(width) for _ in range(blocks))))
            channels = width
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        self.dense = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 224, 224)
        x = self.stages(x)  # (n, 768, 7, 7)
        return self.dense(self.norm(self.pool(x).flatten(1)))  # (n, 1000)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return ConvNeXt(task.inputs["image"].shape[2], task.targets["label"].count)
