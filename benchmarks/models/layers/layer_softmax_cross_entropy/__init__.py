"""The cross-entropy of 30,000 classes, behind a dense layer of 16 inputs."""

from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, features

TASK = Task(
    title="Softmax cross-entropy",
    reference="Bengio et al.: A neural probabilistic language model, 2003",
    inputs={"features": features(16)},
    targets={"label": classes(30_000)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    published=Published(parameters=30_000 * 17, macs=30_000 * 16),
    settings={"classes": 30_000, "width": 16},
    sizes={
        "quick": Size(batch=32),
        "standard": Size(batch=256),
        "large": Size(batch=256, shapes={"features": (128,)}, settings={"width": 128}),
    },
)
