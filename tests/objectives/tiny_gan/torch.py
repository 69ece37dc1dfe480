"""The PyTorch side."""

import torch
from torch import nn

from benchmarks.tasks.task import Task


class Model(nn.Module):
    """Both networks; without real samples the generator's alone are judged."""

    def __init__(self, latent: int, size: int) -> None:
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(latent, 7), nn.BatchNorm1d(7, eps=1e-3, momentum=0.01), nn.ReLU(),
            nn.Linear(7, size), nn.Tanh(),
        )  # fmt: skip
        self.discriminator = nn.Sequential(nn.Linear(size, 6), nn.LeakyReLU(0.2), nn.Linear(6, 1))

    def forward(
        self, noise: torch.Tensor, real: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Logits of generated and of real samples."""
        judged = {"fake": self.discriminator(self.generator(noise))}
        return judged if real is None else {"real": self.discriminator(real), **judged}


def build(task: Task) -> Model:
    """The model at the sizes of the task."""
    return Model(task.inputs["noise"].shape[0], task.inputs["real"].shape[0])
