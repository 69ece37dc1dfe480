"""EfficientNet-B0: 5,288,548 parameters, 0.386 GMAC at 224x224.

Tan & Le: EfficientNet: Rethinking model scaling, 2019, table 1; strided convolutions are padded
alike on both sides and epsilon is 1e-5, as in torchvision's ``efficientnet_b0``.
(``keras.applications`` pads one more at the end, has epsilon 1e-3, and rescales its input.)
Stochastic depth is left out: it is no part of the function that is proven.
"""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Expansion, kernel, stride of the first block, channels and blocks of each stage."""
SQUEEZE = 4
"""A block's gate has so many times fewer channels than the block is given."""

TASK = Task(
    title="EfficientNet-B0",
    reference="Tan & Le: EfficientNet: Rethinking model scaling, 2019",
    inputs={"image": image(224, 224, 3)},
    targets={"label": classes(1000)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=5_288_548, macs=0.386e9),
    proof_batch=4,
    sizes={
        "quick": Size(batch=4, shapes={"image": (64, 64, 3)}, train_samples=32, test_samples=16),
        "standard": Size(batch=32, train_samples=512, test_samples=128),
    },
)
