"""Two outputs in PyTorch."""

from torch import Tensor, nn

from benchmarks.tasks.task import Task


class Two(nn.Module):
    """Two heads on one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.kind, self.size = nn.Linear(5, 6), nn.Linear(6, 4), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.body(x).sigmoid()
        return {"kind": self.kind(x), "size": self.size(x)}


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    del task
    return Two()
