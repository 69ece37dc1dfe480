"""AlexNet in PyTorch."""

from torch import Tensor, nn

from benchmarks.tasks.task import Task


class AlexNet(nn.Module):
    """Five convolutions, three max-poolings, and three dense layers with dropout before two."""

    def __init__(self, channels: int, width: int, features: int, dense: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 11, stride=4, padding=2)
        self.conv2 = nn.Conv2d(width, 3 * width, 5, padding=2)
        self.conv3 = nn.Conv2d(3 * width, 6 * width, 3, padding=1)
        self.conv4 = nn.Conv2d(6 * width, 4 * width, 3, padding=1)
        self.conv5 = nn.Conv2d(4 * width, 4 * width, 3, padding=1)
        self.pool = nn.MaxPool2d(3, stride=2)
        self.relu = nn.ReLU()
        self.drop1 = nn.Dropout(0.5)
        self.dense1 = nn.Linear(features, dense)
        self.drop2 = nn.Dropout(0.5)
        self.dense2 = nn.Linear(dense, dense)
        self.dense3 = nn.Linear(dense, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 224, 224)
        x = self.pool(self.relu(self.conv1(x)))  # (n, 64, 27, 27)
        x = self.pool(self.relu(self.conv2(x)))  # (n, 192, 13, 13)
        x = self.relu(self.conv3(x))  # (n, 384, 13, 13)
        x = self.relu(self.conv4(x))  # (n, 256, 13, 13)
        x = self.pool(self.relu(self.conv5(x)))  # (n, 256, 6, 6)
        x = self.relu(self.dense1(self.drop1(x.flatten(1))))  # (n, 4096)
        x = self.relu(self.dense2(self.drop2(x)))  # (n, 4096)
        return self.dense3(x)  # (n, 1000)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    side, _, channels = task.inputs["image"].shape
    width, dense = task.settings["width"], task.settings["dense"]
    side = (side + 4 - 11) // 4 + 1  # conv1
    for _ in range(3):
        side = (side - 3) // 2 + 1  # each pooling
    return AlexNet(channels, width, 4 * width * side**2, dense, task.targets["label"].count)
