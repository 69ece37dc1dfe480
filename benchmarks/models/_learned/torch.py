"""The layers of one learnt array in PyTorch."""

import torch
from torch import Tensor, nn


class LayerScale(nn.Module):
    """Multiplies each feature of the last axis by a number of its own."""

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), start))

    def forward(self, x: Tensor) -> Tensor:  # (n, ..., width)
        return x * self.gamma


class ClassToken(nn.Module):
    """Puts a learnt token in front of a sequence."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(1, width))

    def forward(self, x: Tensor) -> Tensor:  # (n, steps, width)
        return torch.cat([self.table.expand(x.shape[0], 1, -1), x], 1)  # (n, steps + 1, width)


class Positions(nn.Module):
    """Adds a learnt vector to each step of a sequence, the first ones where it is shorter."""

    def __init__(self, steps: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(steps, width) * 0.02)

    def forward(self, x: Tensor) -> Tensor:  # (n, steps, width)
        return x + self.table[: x.shape[1]]
