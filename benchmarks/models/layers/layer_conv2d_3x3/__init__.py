"""One 3x3 convolution of 64 channels."""

from benchmarks.models.layers._convolution import task

TASK = task("Convolution 3x3", kernel=3)
