"""The largest value of each 2x2 of 64 channels, behind a learned scale."""

from benchmarks.models.layers._pooling import task

TASK = task("Max-pooling 2x2", largest=True)
