"""The layer in PyTorch."""

from torch import nn

from benchmarks.tasks.task import Task


def build(task: Task) -> nn.Module:
    """The layer, its weights not yet set."""
    channels = task.inputs["image"].shape[2]
    return nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1)
