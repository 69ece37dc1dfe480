"""ResNet-18: 11,689,512 parameters, 1.81 GMAC at 224x224.

He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015, table 1; the shortcuts that
change their shape are 1x1 convolutions (option B).
"""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Channels and stride of each stage of two blocks."""

TASK = Task(
    title="ResNet-18",
    reference="He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015",
    inputs={"image": image(224, 224, 3)},
    targets={"label": classes(1000)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=11_689_512, macs=1.81e9),
    proof_batch=4,
    sizes={
        "quick": Size(batch=4, shapes={"image": (64, 64, 3)}, train_samples=32, test_samples=16),
        "standard": Size(batch=32, train_samples=512, test_samples=128),
    },
)
