"""Xception: 22,855,952 parameters that train, 8.36 GMAC at 299x299.

Chollet: Xception: Deep learning with depthwise separable convolutions, 2016, figure 5; epsilon 1e-3
and momentum 0.99 as in ``keras.applications.Xception``, whose total of 22,910,480 counts the 54,528
running statistics, too. Where a stride is 2, padding is TensorFlow's ``same``.
"""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

EPSILON, MOMENTUM = 1e-3, 0.99
ENTRY = (128, 256, 728)
"""Channels of the strided blocks of the entry flow."""
MIDDLE = 8
"""Blocks of the middle flow, of 728 channels and three separable convolutions each."""
EXIT = ((728, 1024), (1536, 2048))
"""Channels of the last strided block, and of the two separable convolutions behind it."""

TASK = Task(
    title="Xception",
    reference="Chollet: Deep learning with depthwise separable convolutions, 2016",
    inputs={"image": image(299, 299, 3)},
    targets={"label": classes(1000)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=22_855_952, macs=8.36e9),
    proof_batch=2,
    sizes={
        "quick": Size(batch=2, shapes={"image": (75, 75, 3)}, train_samples=16, test_samples=8),
        "standard": Size(batch=32, train_samples=256, test_samples=64),
    },
)
