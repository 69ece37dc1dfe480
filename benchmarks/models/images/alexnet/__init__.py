"""AlexNet in its one-column form: 61,100,840 parameters, 0.714 GMAC at 224x224.

Krizhevsky: One weird trick for parallelizing convolutional neural networks, 2014; channels, padding
and dropout as in torchvision's ``alexnet``, whose adaptive pooling changes nothing at 224x224.
"""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

TASK = Task(
    title="AlexNet",
    reference="Krizhevsky: One weird trick for parallelizing convolutional networks, 2014",
    inputs={"image": image(224, 224, 3)},
    targets={"label": classes(1000)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=61_100_840, macs=0.714e9),
    settings={"width": 64, "dense": 4096},
    sizes={
        "quick": Size(
            batch=8,
            shapes={"image": (96, 96, 3)},
            settings={"width": 16, "dense": 256},
            train_samples=64,
            test_samples=32,
        ),
        "standard": Size(batch=64, train_samples=512, test_samples=128),
    },
)
