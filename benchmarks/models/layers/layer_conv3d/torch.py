"""The layer in PyTorch."""

import torch
from torch import nn

from benchmarks.tasks.task import Task


class Frames(nn.Module):
    """A convolution of (n, frames, height, width, channels): PyTorch has the channels second."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, channels, kernel, padding=kernel // 2)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(frames.movedim(-1, 1))
        return y.movedim(1, -1)


def build(task: Task) -> nn.Module:
    """The layer, its weights not yet set."""
    return Frames(task.settings["channels"], task.settings["kernel"])
