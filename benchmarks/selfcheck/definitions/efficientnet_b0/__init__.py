"""EfficientNet-B0 of ``keras.applications``, at the sizes of our task."""

from benchmarks.request import discovery

TASK = discovery.imported("efficientnet_b0")
