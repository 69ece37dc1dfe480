"""The layer in PyTorch."""

import torch
from torch import nn

from benchmarks.tasks.task import Task


class Steps(nn.Module):
    """A convolution of (n, steps, channels), which PyTorch computes as (n, channels, steps)."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel, padding=kernel // 2)

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(steps.transpose(1, 2))
        return y.transpose(1, 2)


def build(task: Task) -> nn.Module:
    """The layer, its weights not yet set."""
    return Steps(task.settings["channels"], task.settings["kernel"])
