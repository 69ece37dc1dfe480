"""One dense layer of 1024 by 1024."""

from benchmarks.tasks.task import LossPart, Published, Size, Task, features, values

TASK = Task(
    title="Dense 1024",
    reference="the product of matrices that every framework has",
    inputs={"features": features(1024)},
    targets={"wanted": values(1024)},
    loss=(LossPart("mse", "output", "wanted"),),
    published=Published(parameters=1024 * 1025, macs=1024**2),
    sizes={
        "quick": Size(batch=32),
        "standard": Size(batch=128),
    },
)
