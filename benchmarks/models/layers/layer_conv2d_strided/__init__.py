"""One 3x3 convolution of 64 channels with a stride of 2."""

from benchmarks.models.layers._convolution import task

TASK = task("Convolution 3x3, stride 2", kernel=3, stride=2)
