"""No target at all: what is wanted of the output is in the loss."""

from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import Size, Task, features, noise

TASK = Task(
    title="No target",
    inputs={"features": features(5), "noise": noise(3)},
    loss=None,
    optimizer=SGD(0.1),
    sizes={"quick": Size(batch=4), "standard": Size(batch=4)},
)
