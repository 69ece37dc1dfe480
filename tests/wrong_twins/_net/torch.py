"""The small net in PyTorch; the keyword is what a wrong twin gets wrong."""

from collections import OrderedDict

from torch import nn

from benchmarks.tasks.task import Task
from tests.wrong_twins._net import EPSILON, MOMENTUM


def build(task: Task, *, gelu: str = "none") -> nn.Module:
    """The model, its weights not yet set; ``gelu`` is the approximation, ``none`` or ``tanh``."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 8, 3, stride=2, padding=1),  # (n, 8, 4, 4)
            bn=nn.BatchNorm2d(8, eps=EPSILON, momentum=1 - MOMENTUM),
            gelu=nn.GELU(approximate=gelu),
            flatten=nn.Flatten(),  # (n, 128)
            dense=nn.Linear(128, task.targets["label"].count),  # (n, 10)
        )
    )
