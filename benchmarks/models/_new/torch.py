"""The model in PyTorch."""

from torch import Tensor, nn

from benchmarks.tasks.task import Task


class Network(nn.Module):
    """A convolution, batch normalisation and a dense layer; dropout before it."""

    def __init__(self, channels: int, side: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 16, 3, padding=1)
        # PyTorch's momentum is 1 - Keras'; epsilon has another default there.
        self.norm = nn.BatchNorm2d(16, eps=1e-3, momentum=0.01)
        self.drop = nn.Dropout(0.25)
        self.dense = nn.Linear(16 * (side // 2) ** 2, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 32, 32)
        x = nn.functional.relu(self.norm(self.conv(x)))  # (n, 16, 32, 32)
        x = nn.functional.max_pool2d(x, 2)  # (n, 16, 16, 16)
        return self.dense(self.drop(x.flatten(1)))  # (n, 10)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    side, _, channels = task.inputs["image"].shape
    return Network(channels, side, task.targets["label"].count)
