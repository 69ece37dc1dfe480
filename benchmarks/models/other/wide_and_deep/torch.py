"""Wide and deep learning in PyTorch."""

import torch
from torch import Tensor, nn

from benchmarks.models.other.wide_and_deep import VECTOR, WIDTHS
from benchmarks.tasks.task import Task


class WideAndDeep(nn.Module):
    """One weight per category, summed, beside dense layers on vectors and numbers."""

    def __init__(self, categories: int, rows: int, numbers: int) -> None:
        super().__init__()
        self.wide = nn.Embedding(rows, 1)
        self.vectors = nn.Embedding(rows, VECTOR)
        widths = (categories * VECTOR + numbers, *WIDTHS)
        self.deep = nn.ModuleList(
            nn.Linear(inputs, outputs) for inputs, outputs in zip(widths, WIDTHS, strict=False)
        )
        self.last = nn.Linear(WIDTHS[-1], 1)

    def forward(self, categories: Tensor, numbers: Tensor) -> Tensor:  # (n, 26), (n, 13)
        x = torch.cat([self.vectors(categories).flatten(1), numbers], 1)  # (n, 429)
        for dense in self.deep:
            x = dense(x).relu()
        return self.wide(categories).sum(1) + self.last(x)  # (n, 1)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    one, numbers = task.inputs["categories"], task.inputs["numbers"]
    return WideAndDeep(one.shape[0], one.vocabulary, numbers.shape[0])
