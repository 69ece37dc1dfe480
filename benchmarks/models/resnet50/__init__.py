"""ResNet-50 v1.5, trained end to end: 25,557,032 parameters, 4.09 GMAC at 224x224."""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

TASK = Task(
    title="ResNet-50 v1.5",
    reference="He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015",
    inputs={"image": image(224, 224, 3)},
    targets={"label": classes(1000)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=25_557_032, macs=4.09e9),
    proof_batch=4,
    heavy=True,
    family="images",
    sizes={
        "quick": Size(batch=4, shapes={"image": (64, 64, 3)}, train_samples=32, test_samples=16),
        "standard": Size(batch=32, train_samples=512, test_samples=128),
    },
)
