"""The convolution in PyTorch."""

from torch import nn

from benchmarks.tasks.task import Task


def build(task: Task) -> nn.Module:
    """The layer, its weights not yet set."""
    channels, kernel = task.settings["channels"], task.settings["kernel"]
    return nn.Conv2d(
        channels,
        channels,
        kernel,
        stride=task.settings["stride"],
        padding=kernel // 2,
        groups=channels if task.settings["alone"] else 1,
    )
