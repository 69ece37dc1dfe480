"""An image that is to be like the one that went in."""

from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Size, Task, image, like

TASK = Task(
    title="Picture",
    inputs={"image": image(6, 5, 3)},
    targets={"again": like("image")},
    loss=(LossPart("mse", "output", "again"),),
    optimizer=SGD(0.1, momentum=0.9, nesterov=True),
    sizes={"quick": Size(batch=4), "standard": Size(batch=4)},
)
