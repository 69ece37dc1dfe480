"""The small convolutional network in PyTorch."""

from torch import Tensor, nn

from benchmarks.tasks.task import Task


class SimpleCNN(nn.Module):
    """Two convolutions, each with ReLU and max-pooling, and a dense layer."""

    def __init__(self, channels: int, features: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 3)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(32, 16, 3)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.dense = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 32, 32)
        x = self.pool1(self.relu1(self.conv1(x)))  # (n, 32, 15, 15)
        x = self.pool2(self.relu2(self.conv2(x)))  # (n, 16, 6, 6)
        return self.dense(x.flatten(1))  # (n, 10)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    height, width, channels = task.inputs["image"].shape
    features = ((height - 2) // 2 - 2) // 2 * (((width - 2) // 2 - 2) // 2) * 16
    return SimpleCNN(channels, features, task.targets["label"].count)
