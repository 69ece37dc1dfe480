"""One GRU layer of 256 units, which gives its state at every one of 64 steps."""

from benchmarks.tasks.task import LossPart, Published, Size, Task, features, values

TASK = Task(
    title="GRU 256",
    reference="Cho et al.: Learning phrase representations, 2014",
    inputs={"steps": features(64, 256)},
    targets={"wanted": values(64, 256)},
    loss=(LossPart("mse", "output", "wanted"),),
    published=Published(parameters=3 * 256 * (256 + 256 + 2)),
    sizes={
        "quick": Size(batch=8, shapes={"steps": (16, 256), "wanted": (16, 256)}),
        "standard": Size(batch=32),
        "large": Size(batch=32, shapes={"steps": (256, 256), "wanted": (256, 256)}),
    },
)
