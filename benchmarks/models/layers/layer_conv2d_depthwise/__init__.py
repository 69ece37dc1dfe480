"""One 3x3 convolution of each of 64 channels alone."""

from benchmarks.models.layers._convolution import task

TASK = task("Depthwise convolution 3x3", kernel=3, depthwise=True)
