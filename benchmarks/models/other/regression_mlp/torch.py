"""The regression in PyTorch."""

from torch import Tensor, nn

from benchmarks.models.other.regression_mlp import WIDTH
from benchmarks.tasks.task import Task


class Regression(nn.Module):
    """Two dense layers with ReLU, and one that gives the value."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.dense1 = nn.Linear(columns, WIDTH)
        self.dense2 = nn.Linear(WIDTH, WIDTH)
        self.dense3 = nn.Linear(WIDTH, 1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:  # (n, 9)
        x = self.relu(self.dense2(self.relu(self.dense1(x))))  # (n, 64)
        return self.dense3(x)  # (n, 1)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return Regression(task.inputs["columns"].shape[0])
