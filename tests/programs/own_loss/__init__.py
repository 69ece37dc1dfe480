"""A loss that either twin's file defines by itself, of two parts."""

from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import Size, Task, features, values

TASK = Task(
    title="Own loss",
    inputs={"features": features(5)},
    targets={"value": values(2)},
    loss=None,
    optimizer=SGD(0.1),
    sizes={"quick": Size(batch=4), "standard": Size(batch=4)},
)
