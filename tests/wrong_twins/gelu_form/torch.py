"""The small net in PyTorch with an approximate GELU."""

from torch import nn

from benchmarks.tasks.task import Task
from tests.wrong_twins._net.torch import build as build_net


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return build_net(task, gelu="tanh")
