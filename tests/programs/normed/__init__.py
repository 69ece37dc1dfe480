"""A convolution with normalisation under a dense layer."""

from benchmarks.tasks.task import LossPart, Size, Task, classes, image

TASK = Task(
    title="Normed",
    inputs={"image": image(8, 8, 3)},
    targets={"label": classes(10)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    sizes={"quick": Size(batch=4), "standard": Size(batch=4)},
)
