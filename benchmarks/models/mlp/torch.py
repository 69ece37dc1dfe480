"""The multilayer perceptron in PyTorch."""

from torch import Tensor, nn

from benchmarks.tasks.task import Task


class MLP(nn.Module):
    """Three dense layers with ReLU between them."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.dense1 = nn.Linear(inputs, 512)
        self.relu1 = nn.ReLU()
        self.dense2 = nn.Linear(512, 256)
        self.relu2 = nn.ReLU()
        self.dense3 = nn.Linear(256, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 784)
        x = self.relu1(self.dense1(x))  # (n, 512)
        x = self.relu2(self.dense2(x))  # (n, 256)
        return self.dense3(x)  # (n, 10)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return MLP(task.inputs["features"].shape[0], task.targets["label"].count)
