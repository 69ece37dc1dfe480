"""The pool in PyTorch."""

from collections import OrderedDict

from torch import nn

from benchmarks.tasks.task import Task


def build(task: Task) -> nn.Module:
    """A depthwise convolution of 1x1, which scales, and the pool."""
    channels = task.settings["channels"]
    return nn.Sequential(
        OrderedDict(
            scale=nn.Conv2d(channels, channels, 1, groups=channels),
            pool=nn.MaxPool2d(2) if task.settings["largest"] else nn.AvgPool2d(2),
        )
    )
