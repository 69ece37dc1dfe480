"""One dense layer of as many inputs as outputs."""

from benchmarks.tasks.task import LossPart, Published, Size, Task, features, values

TASK = Task(
    title="Dense 1024",
    reference="the product of matrices that every framework has",
    inputs={"features": features(1024)},
    targets={"wanted": values(1024)},
    loss=(LossPart("mse", "output", "wanted"),),
    published=Published(parameters=1024 * 1025, macs=1024**2),
    settings={"width": 1024},
    sizes={
        "quick": Size(
            batch=32, shapes={"features": (256,), "wanted": (256,)}, settings={"width": 256}
        ),
        "standard": Size(batch=128),
        "large": Size(
            batch=128, shapes={"features": (4096,), "wanted": (4096,)}, settings={"width": 4096}
        ),
    },
)
