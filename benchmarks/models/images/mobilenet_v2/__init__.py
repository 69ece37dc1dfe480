"""MobileNetV2: 3,504,872 parameters, 0.301 GMAC at 224x224.

Sandler et al.: MobileNetV2: Inverted residuals and linear bottlenecks, 2018, table 2; strided
convolutions are padded alike on both sides and epsilon is 1e-5, as in torchvision's
``mobilenet_v2``. (``keras.applications`` pads one more at the end of an even side, and has epsilon
1e-3.)
"""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

STAGES = (
    (1, 1, 16, 1),
    (6, 2, 24, 2),
    (6, 2, 32, 3),
    (6, 2, 64, 4),
    (6, 1, 96, 3),
    (6, 2, 160, 3),
    (6, 1, 320, 1),
)
"""Expansion, stride of the first block, channels and blocks of each stage."""

TASK = Task(
    title="MobileNetV2",
    reference="Sandler et al.: Inverted residuals and linear bottlenecks, 2018",
    inputs={"image": image(224, 224, 3)},
    targets={"label": classes(1000)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=3_504_872, macs=0.3008e9),
    proof_batch=4,
    sizes={
        "quick": Size(batch=4, shapes={"image": (64, 64, 3)}, train_samples=32, test_samples=16),
        "standard": Size(batch=32, train_samples=512, test_samples=128),
    },
)
