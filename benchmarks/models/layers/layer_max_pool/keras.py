"""The layer in Keras."""

from benchmarks.models.layers._pooling.keras import build

__all__ = ["build"]
