"""Two named inputs in PyTorch; ``forward`` names them in another order than the task."""

import torch
from torch import Tensor, nn

from benchmarks.tasks.task import Task


class Both(nn.Module):
    """A layer for each input, and one on top."""

    def __init__(self) -> None:
        super().__init__()
        self.of_left, self.of_right = nn.Linear(5, 6), nn.Linear(3, 6)
        self.head = nn.Linear(6, 4)

    def forward(self, right: Tensor, left: Tensor) -> Tensor:
        return self.head(torch.tanh(self.of_left(left) - self.of_right(right)))


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    del task
    return Both()
