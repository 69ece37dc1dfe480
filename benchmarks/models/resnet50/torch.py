"""ResNet-50 v1.5 in PyTorch."""

from torch import Tensor, nn

from benchmarks.models._resnet.torch import body
from benchmarks.tasks.task import Task


class ResNet50(nn.Module):
    """The body, global average pooling and a dense layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        for name, module in body(channels).items():
            self.add_module(name, module)
        self.pool2 = nn.AdaptiveAvgPool2d(1)
        self.dense = nn.Linear(2048, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 224, 224)
        x = self.pool1(self.relu1(self.bn1(self.conv1(x))))  # (n, 64, 56, 56)
        x = self.layer1(x)  # (n, 256, 56, 56)
        x = self.layer2(x)  # (n, 512, 28, 28)
        x = self.layer3(x)  # (n, 1024, 14, 14)
        x = self.layer4(x)  # (n, 2048, 7, 7)
        return self.dense(self.pool2(x).flatten(1))  # (n, 1000)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return ResNet50(task.inputs["image"].shape[2], task.targets["label"].count)
