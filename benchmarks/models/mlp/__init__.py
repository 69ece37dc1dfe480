"""A multilayer perceptron, 784-512-256-10: the smallest model in which matrix products rule."""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, features

TASK = Task(
    title="MLP 784-512-256-10",
    reference="Rumelhart et al.: Learning representations by back-propagating errors, 1986",
    inputs={"features": features(784)},
    targets={"label": classes(10)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=535_818, macs=535_040),
    family="other",
    sizes={"quick": Size(batch=64), "standard": Size(batch=128)},
)
