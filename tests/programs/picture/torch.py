"""From an image to an image in PyTorch."""

import torch
from torch import nn

from benchmarks.tasks.task import Task


class Picture(nn.Module):
    """Beside the image, a smaller map, and the same flattened."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(channels, 4, 3, padding=1)
        self.outer = nn.Conv2d(4, channels, 3, padding=1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Outputs by name."""
        x = torch.tanh(self.inner(image))
        small = self.pool(x)
        return {"output": self.outer(x), "small": small, "flat": torch.flatten(small, 1)}


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return Picture(task.inputs["image"].shape[-1])
