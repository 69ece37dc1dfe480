"""Two inputs that the models take one after the other, and call what they like."""

from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Size, Task, classes, features, tokens

TASK = Task(
    title="Two arguments",
    inputs={"words": tokens(7, 11), "more": features(3)},
    targets={"label": classes(4)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    optimizer=SGD(0.1),
    sizes={"quick": Size(batch=4), "standard": Size(batch=4)},
)
