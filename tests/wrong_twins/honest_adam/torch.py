"""The small net in PyTorch, as it should be."""

from tests.wrong_twins._net.torch import build

__all__ = ["build"]
