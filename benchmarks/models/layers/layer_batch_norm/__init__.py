"""One batch normalisation of 64 channels, by the statistics of the batch where it trains."""

from benchmarks.tasks.task import LossPart, Published, Size, Task, image, values

TASK = Task(
    title="Batch normalisation",
    reference="Ioffe & Szegedy: Batch normalization, 2015",
    inputs={"image": image(56, 56, 64)},
    targets={"wanted": values(56, 56, 64)},
    loss=(LossPart("mse", "output", "wanted"),),
    published=Published(parameters=2 * 64),
    sizes={
        "quick": Size(batch=8, shapes={"image": (28, 28, 64), "wanted": (28, 28, 64)}),
        "standard": Size(batch=32),
        "large": Size(batch=32, shapes={"image": (112, 112, 64), "wanted": (112, 112, 64)}),
    },
)
