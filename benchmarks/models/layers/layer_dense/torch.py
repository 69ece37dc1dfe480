"""The layer in PyTorch."""

from torch import nn

from benchmarks.tasks.task import Task


def build(task: Task) -> nn.Module:
    """The layer, its weights not yet set."""
    return nn.Linear(task.settings["width"], task.settings["width"])
