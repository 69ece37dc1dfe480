"""Two dense layers in PyTorch."""

from torch import Tensor, nn

from benchmarks.tasks.task import Task


class Model(nn.Module):
    """Two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu())


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    del task
    return Model()
