"""The CNN of the Rosetta stone of deep learning: 3,441,592 parameters, 62.26 MMAC at 32x32.

github.com/ilkarman/DeepLearningFrameworks, the CIFAR-10 notebooks: two pairs of 3x3 convolutions
(50 and 100 channels), max-pooling and dropout behind each, a dense layer of 512; SGD 0.01 with
momentum 0.9, batch 64.
"""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

TASK = Task(
    title="Rosetta CNN",
    reference="Karmanov et al.: github.com/ilkarman/DeepLearningFrameworks, 2017",
    inputs={"image": image(32, 32, 3)},
    targets={"label": classes(10)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=3_441_592, macs=62.26e6),
    sizes={
        "quick": Size(batch=16, train_samples=128, test_samples=64),
        "standard": Size(batch=64),
    },
)
