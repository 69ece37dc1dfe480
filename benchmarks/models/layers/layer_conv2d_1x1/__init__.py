"""One 1x1 convolution of 64 channels: a product of matrices."""

from benchmarks.models.layers._convolution import task

TASK = task("Convolution 1x1", kernel=1)
