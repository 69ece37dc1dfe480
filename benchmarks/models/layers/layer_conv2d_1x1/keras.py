"""The layer in Keras."""

from benchmarks.models.layers._convolution.keras import build

__all__ = ["build"]
