"""The mean of each 2x2 of 64 channels, behind a learned scale."""

from benchmarks.models.layers._pooling import task

TASK = task("Average pooling 2x2", largest=False)
