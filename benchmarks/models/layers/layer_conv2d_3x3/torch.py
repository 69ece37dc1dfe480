"""The layer in PyTorch."""

from benchmarks.models.layers._convolution.torch import build

__all__ = ["build"]
