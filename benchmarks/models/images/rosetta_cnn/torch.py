"""The Rosetta CNN in PyTorch."""

from torch import Tensor, nn

from benchmarks.tasks.task import Task


class RosettaCNN(nn.Module):
    """Two pairs of 3x3 convolutions, each with max-pooling and dropout, and two dense layers."""

    def __init__(self, channels: int, side: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 50, 3, padding=1)
        self.conv2 = nn.Conv2d(50, 50, 3, padding=1)
        self.drop1 = nn.Dropout(0.25)
        self.conv3 = nn.Conv2d(50, 100, 3, padding=1)
        self.conv4 = nn.Conv2d(100, 100, 3, padding=1)
        self.drop2 = nn.Dropout(0.25)
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU()
        self.dense1 = nn.Linear(100 * (side // 4) ** 2, 512)
        self.drop3 = nn.Dropout(0.5)
        self.dense2 = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 32, 32)
        x = self.relu(self.conv2(self.relu(self.conv1(x))))  # (n, 50, 32, 32)
        x = self.drop1(self.pool(x))  # (n, 50, 16, 16)
        x = self.relu(self.conv4(self.relu(self.conv3(x))))  # (n, 100, 16, 16)
        x = self.drop2(self.pool(x))  # (n, 100, 8, 8)
        x = self.relu(self.dense1(x.flatten(1)))  # (n, 512)
        return self.dense2(self.drop3(x))  # (n, 10)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    side, _, channels = task.inputs["image"].shape
    return RosettaCNN(channels, side, task.targets["label"].count)
