"""A mapping of two outputs, and a weighted sum of two losses."""

from benchmarks.tasks.optimizers import Adam
from benchmarks.tasks.task import LossPart, Size, Task, classes, features, values

TASK = Task(
    title="Two outputs",
    inputs={"features": features(5)},
    targets={"label": classes(4), "value": values(2)},
    loss=(
        LossPart("cross_entropy", "kind", "label", weight=0.7),
        LossPart("mse", "size", "value", weight=0.3),
    ),
    optimizer=Adam(0.01),
    sizes={"quick": Size(batch=4), "standard": Size(batch=4)},
)
