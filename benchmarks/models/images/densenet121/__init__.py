"""DenseNet-121: 7,978,856 parameters, 2.83 GMAC at 224x224.

Huang et al.: Densely connected convolutional networks, 2016, table 1, growth 32. Epsilon is 1e-5 as
in torchvision's ``densenet121``; ``keras.applications`` is the same function but for 1.001e-5.
"""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

BLOCKS = (6, 12, 24, 16)
"""Layers of each dense block."""
GROWTH = 32
"""Channels that a layer adds."""
BOTTLENECK = 4 * GROWTH

TASK = Task(
    title="DenseNet-121",
    reference="Huang et al.: Densely connected convolutional networks, 2016",
    inputs={"image": image(224, 224, 3)},
    targets={"label": classes(1000)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=7_978_856, macs=2.83e9),
    proof_batch=4,
    sizes={
        "quick": Size(batch=4, shapes={"image": (64, 64, 3)}, train_samples=32, test_samples=16),
        "standard": Size(batch=32, train_samples=256, test_samples=64),
    },
)
