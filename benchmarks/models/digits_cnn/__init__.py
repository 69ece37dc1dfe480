"""The digit recogniser of PyTorch's first tutorials: two 5x5 convolutions, pooling and dropout."""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

TASK = Task(
    title="Digits CNN",
    reference="after LeCun et al.: Gradient-based learning for document recognition, 1998",
    inputs={"image": image(28, 28, 1)},
    targets={"label": classes(10)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=21_840),
    family="images",
    sizes={"quick": Size(batch=64), "standard": Size(batch=64)},
)
