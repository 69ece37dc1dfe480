"""Two named inputs, which either twin takes by their names."""

from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Size, Task, classes, features

TASK = Task(
    title="Two named inputs",
    inputs={"left": features(5), "right": features(3)},
    targets={"label": classes(4)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    optimizer=SGD(0.1, momentum=0.9),
    sizes={"quick": Size(batch=4), "standard": Size(batch=4)},
)
