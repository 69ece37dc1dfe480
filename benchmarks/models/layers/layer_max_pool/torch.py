"""The layer in PyTorch."""

from benchmarks.models.layers._pooling.torch import build

__all__ = ["build"]
