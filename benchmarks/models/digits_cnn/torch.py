"""The digit recogniser in PyTorch."""

from torch import Tensor, nn

from benchmarks.tasks.task import Task


class DigitsCNN(nn.Module):
    """Two convolutions with max-pooling, two dense layers, dropout before each reduction."""

    def __init__(self, channels: int, features: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 10, 5)
        self.pool1 = nn.MaxPool2d(2)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.drop1 = nn.Dropout2d(0.5)  # whole maps
        self.pool2 = nn.MaxPool2d(2)
        self.relu2 = nn.ReLU()
        self.dense1 = nn.Linear(features, 50)
        self.relu3 = nn.ReLU()
        self.drop2 = nn.Dropout(0.5)
        self.dense2 = nn.Linear(50, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 1, 28, 28)
        x = self.relu1(self.pool1(self.conv1(x)))  # (n, 10, 12, 12)
        x = self.relu2(self.pool2(self.drop1(self.conv2(x))))  # (n, 20, 4, 4)
        x = self.drop2(self.relu3(self.dense1(x.flatten(1))))  # (n, 50)
        return self.dense2(x)  # (n, 10)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    height, width, channels = task.inputs["image"].shape
    features = ((height - 4) // 2 - 4) // 2 * (((width - 4) // 2 - 4) // 2) * 20
    return DigitsCNN(channels, features, task.targets["label"].count)
