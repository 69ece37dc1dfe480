"""SqueezeNet 1.0: 1,248,424 parameters, 0.82 GMAC at 224x224.

Iandola et al.: SqueezeNet: AlexNet-level accuracy with 50x fewer parameters, 2016, table 1; the
first convolution is not padded and the poolings keep a last partial window, as in torchvision's
``squeezenet1_0``.
"""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

POOL = 0
FIRES: tuple[tuple[int, int], ...] = (
    *((16, 64), (16, 64), (32, 128), (POOL, POOL)),
    *((32, 128), (48, 192), (48, 192), (64, 256), (POOL, POOL)),
    (64, 256),
)
"""Channels that each fire module squeezes to, and that each of its halves expands to."""

TASK = Task(
    title="SqueezeNet 1.0",
    reference="Iandola et al.: SqueezeNet, 2016",
    inputs={"image": image(224, 224, 3)},
    targets={"label": classes(1000)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=1_248_424, macs=0.82e9),
    proof_batch=4,
    sizes={
        "quick": Size(batch=8, shapes={"image": (72, 72, 3)}, train_samples=64, test_samples=32),
        "standard": Size(batch=32, train_samples=512, test_samples=128),
    },
)
