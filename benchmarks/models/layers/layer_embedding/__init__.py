"""One table of 30,000 vectors of 128, looked up 128 times a sample."""

from benchmarks.tasks.task import LossPart, Published, Size, Task, tokens, values

TASK = Task(
    title="Embedding",
    reference="Bengio et al.: A neural probabilistic language model, 2003",
    inputs={"tokens": tokens(128, 30_000)},
    targets={"wanted": values(128, 128)},
    loss=(LossPart("mse", "output", "wanted"),),
    published=Published(parameters=30_000 * 128),
    sizes={
        "quick": Size(batch=8, shapes={"tokens": (32,), "wanted": (32, 128)}),
        "standard": Size(batch=32),
        "large": Size(batch=32, shapes={"tokens": (512,), "wanted": (512, 128)}),
    },
)
