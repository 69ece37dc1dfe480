"""The net that most wrong twins get wrong, small enough to prove in a second."""

from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

EPSILON = 1e-5
MOMENTUM = 0.9  # in Keras' sense

TASK = Task(
    title="A strided convolution, normalisation, GELU, a dense layer",
    reference="none: it exists for tests",
    inputs={"image": image(8, 8, 3)},
    targets={"label": classes(10)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=1_530),
    sizes={"quick": Size(batch=4), "standard": Size(batch=8)},
)
