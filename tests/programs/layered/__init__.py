"""A layer of labelled samples that is no Keras model, which an epoch can train all the same."""

from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Size, Task, classes, features

TASK = Task(
    title="Layered",
    inputs={"features": features(64)},
    targets={"label": classes(10)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    optimizer=SGD(0.1, momentum=0.9),
    sizes={"quick": Size(batch=4), "standard": Size(batch=4)},
)
