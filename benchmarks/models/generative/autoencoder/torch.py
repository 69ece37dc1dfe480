"""The autoencoder in PyTorch."""

from itertools import pairwise

from torch import Tensor, nn

from benchmarks.models.generative.autoencoder import WIDTHS
from benchmarks.tasks.task import Task


class Autoencoder(nn.Module):
    """Dense layers to the code and back."""

    def __init__(self, features: int) -> None:
        super().__init__()
        widths = (features, *WIDTHS)
        *pairs, (wide, few) = pairwise(widths)
        self.encoder = nn.ModuleList(nn.Linear(*pair) for pair in pairs)
        self.code, self.back = nn.Linear(wide, few), nn.Linear(few, wide)
        *rest, last = [(few, wide) for wide, few in reversed(pairs)]
        self.decoder = nn.ModuleList(nn.Linear(*pair) for pair in rest)
        self.last = nn.Linear(*last)

    def forward(self, x: Tensor) -> Tensor:  # (n, 784)
        for dense in self.encoder:
            x = dense(x).sigmoid()
        x = self.back(self.code(x)).sigmoid()  # (n, 30) between them
        for dense in self.decoder:
            x = dense(x).sigmoid()
        return self.last(x)  # (n, 784)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return Autoencoder(task.inputs["features"].shape[0])
