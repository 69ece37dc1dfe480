"""One dense layer, with a twin for the null framework alone."""

from benchmarks.tasks.task import LossPart, Size, Task, classes, features

TASK = Task(
    title="Tiny",
    reference="none: it exists for tests",
    inputs={"features": features(16)},
    targets={"label": classes(10)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    sizes={
        "quick": Size(batch=4),
        "standard": Size(batch=8),
        "wide": Size(batch=4, shapes={"features": (32,)}),
    },
)
