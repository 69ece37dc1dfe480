"""The frozen ResNet-50 with a new head in PyTorch."""

from typing import Self

from torch import Tensor, nn

from benchmarks.models._resnet.torch import body
from benchmarks.tasks.task import Task


class TransferResNet50(nn.Module):
    """The frozen body, global average pooling and two dense layers that learn."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.frozen = body(channels)
        for name, module in self.frozen.items():
            self.add_module(name, module.requires_grad_(requires_grad=False))
        self.pool2 = nn.AdaptiveAvgPool2d(1)
        self.head1 = nn.Linear(2048, 256)
        self.head_relu = nn.ReLU()
        self.head2 = nn.Linear(256, classes)

    def train(self, mode: bool = True) -> Self:
        """Only the head trains: frozen normalisation keeps its running statistics."""
        super().train(mode)
        for module in self.frozen.values():
            module.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 224, 224)
        x = self.pool1(self.relu1(self.bn1(self.conv1(x))))  # (n, 64, 56, 56)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (n, 2048, 7, 7)
        x = self.pool2(x).flatten(1)  # (n, 2048)
        return self.head2(self.head_relu(self.head1(x)))  # (n, 10)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return TransferResNet50(task.inputs["image"].shape[2], task.targets["label"].count)
