"""The small convolutional network with which people introduce both frameworks."""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

TASK = Task(
    title="Simple CNN",
    reference="the introductory example of both frameworks",
    inputs={"image": image(32, 32, 3)},
    targets={"label": classes(10)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=11_290),
    family="images",
    sizes={"quick": Size(batch=32), "standard": Size(batch=64)},
)
