"""VGG-16: 138,357,544 parameters, 15.47 GMAC at 224x224.

Simonyan & Zisserman: Very deep convolutional networks for large-scale image recognition, 2014,
table 1, column D; dropout 0.5 behind the first two dense layers, as in section 3.1.
"""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

STAGES = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))
"""Convolutions of each stage, and its channels as a multiple of the width."""

TASK = Task(
    title="VGG-16",
    reference="Simonyan & Zisserman: Very deep convolutional networks, 2014",
    inputs={"image": image(224, 224, 3)},
    targets={"label": classes(1000)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=138_357_544, macs=15.47e9),
    settings={"width": 64, "dense": 4096},
    sizes={
        "quick": Size(
            batch=4,
            shapes={"image": (64, 64, 3)},
            settings={"width": 16, "dense": 256},
            train_samples=32,
            test_samples=16,
        ),
        "standard": Size(batch=32, train_samples=256, test_samples=64),
    },
)
