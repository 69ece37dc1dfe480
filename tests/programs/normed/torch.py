"""A convolution with normalisation in PyTorch."""

from collections import OrderedDict

from torch import nn

from benchmarks.tasks.task import Task


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 8, 3, stride=2),  # (n, 8, 3, 3)
            bn=nn.BatchNorm2d(8, eps=1e-5, momentum=0.1),
            relu=nn.ReLU(),
            flatten=nn.Flatten(),  # (n, 72)
            dense=nn.Linear(72, task.targets["label"].count),
        )
    )
