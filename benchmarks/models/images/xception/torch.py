"""Xception in PyTorch."""

from torch import Tensor, nn

from benchmarks.models.images.xception import ENTRY, EPSILON, EXIT, MIDDLE, MOMENTUM
from benchmarks.tasks.task import Task


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the constants that both twins use."""
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=1 - MOMENTUM)


class Separable(nn.Module):
    """3x3 on each channel alone, 1x1 over all, and batch normalisation."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, filters, 1, bias=False)
        self.bn = norm(filters)

    def forward(self, x: Tensor) -> Tensor:  # (n, inputs, h, w)
        return self.bn(self.pointwise(self.depthwise(x)))  # (n, filters, h, w)


class Strided(nn.Module):
    """Two separable convolutions and a max-pooling, added to a strided 1x1 convolution."""

    def __init__(
        self, inputs: int, filters: tuple[int, int], side: int, *, active: bool = True
    ) -> None:
        super().__init__()
        self.active = active
        self.relu = nn.ReLU()
        self.separable1 = Separable(inputs, filters[0])
        self.separable2 = Separable(filters[0], filters[1])
        # TensorFlow's "same": of an even side the last window alone reaches over the edge.
        self.pool = nn.MaxPool2d(3, stride=2, padding=side % 2, ceil_mode=True)
        self.shortcut_conv = nn.Conv2d(inputs, filters[1], 1, stride=2, bias=False)
        self.shortcut_bn = norm(filters[1])

    def forward(self, x: Tensor) -> Tensor:  # (n, inputs, h, w)
        shortcut = self.shortcut_bn(self.shortcut_conv(x))
        x = self.separable1(self.relu(x) if self.active else x)
        x = self.separable2(self.relu(x))  # (n, filters, h, w)
        return self.pool(x) + shortcut  # (n, filters, h/2, w/2)


class Middle(nn.Module):
    """Three separable convolutions, each behind a ReLU, added to what they were given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.separable1 = Separable(channels, channels)
        self.separable2 = Separable(channels, channels)
        self.separable3 = Separable(channels, channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:  # (n, 728, h, w)
        y = self.separable1(self.relu(x))
        y = self.separable2(self.relu(y))
        return self.separable3(self.relu(y)) + x


class Xception(nn.Module):
    """Two convolutions, the entry, middle and exit flows, and a dense layer on their mean."""

    def __init__(self, channels: int, side: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 3, stride=2, bias=False)
        self.bn1 = norm(32)
        self.conv2 = nn.Conv2d(32, 64, 3, bias=False)
        self.bn2 = norm(64)
        self.relu = nn.ReLU()
        inputs, side = 64, (side - 3) // 2 - 1  # behind both convolutions
        self.entry = nn.Sequential()
        for at, filters in enumerate(ENTRY):
            self.entry.append(Strided(inputs, (filters, filters), side, active=at > 0))
            inputs, side = filters, (side + 1) // 2
        self.middle = nn.Sequential(*(Middle(inputs) for _ in range(MIDDLE)))
        strided, (wide, widest) = EXIT
        self.exit = Strided(inputs, strided, side)
        self.separable1 = Separable(strided[1], wide)
        self.separable2 = Separable(wide, widest)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dense = nn.Linear(widest, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 299, 299)
        x = self.relu(self.bn1(self.conv1(x)))  # (n, 32, 149, 149)
        x = self.relu(self.bn2(self.conv2(x)))  # (n, 64, 147, 147)
        x = self.middle(self.entry(x))  # (n, 728, 19, 19)
        x = self.exit(x)  # (n, 1024, 10, 10)
        x = self.relu(self.separable2(self.relu(self.separable1(x))))  # (n, 2048, 10, 10)
        return self.dense(self.pool(x).flatten(1))  # (n, 1000)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    side, _, channels = task.inputs["image"].shape
    return Xception(channels, side, task.targets["label"].count)
