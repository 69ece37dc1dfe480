"""VGG-16 in PyTorch."""

from torch import Tensor, nn

from benchmarks.models.images.vgg16 import STAGES
from benchmarks.tasks.task import Task


class VGG16(nn.Module):
    """Five stages of 3x3 convolutions, each ended by max-pooling, and three dense layers."""

    def __init__(self, channels: int, width: int, side: int, dense: int, classes: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        for convolutions, multiple in STAGES:
            stage = nn.ModuleList()
            for _ in range(convolutions):
                stage.append(nn.Conv2d(channels, multiple * width, 3, padding=1))
                channels = multiple * width
            self.stages.append(stage)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.dense1 = nn.Linear(channels * (side // 2 ** len(STAGES)) ** 2, dense)
        self.drop1 = nn.Dropout(0.5)
        self.dense2 = nn.Linear(dense, dense)
        self.drop2 = nn.Dropout(0.5)
        self.dense3 = nn.Linear(dense, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 224, 224)
        for stage in self.stages:
            for conv in stage:
                x = self.relu(conv(x))
            x = self.pool(x)  # at last (n, 512, 7, 7)
        x = self.drop1(self.relu(self.dense1(x.flatten(1))))  # (n, 4096)
        x = self.drop2(self.relu(self.dense2(x)))  # (n, 4096)
        return self.dense3(x)  # (n, 1000)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    side, _, channels = task.inputs["image"].shape
    width, dense = task.settings["width"], task.settings["dense"]
    return VGG16(channels, width, side, dense, task.targets["label"].count)
