"""Transfer learning: a frozen ResNet-50 as feature extractor under a new two-layer head."""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

TASK = Task(
    title="ResNet-50 transfer learning",
    reference="Yosinski et al.: How transferable are features in deep neural networks?, 2014",
    inputs={"image": image(224, 224, 3)},
    targets={"label": classes(10)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.001, momentum=0.9),  # at 0.01 the head diverges on these features
    published=Published(parameters=24_035_146),
    proof_batch=4,
    heavy=True,
    family="images",
    sizes={
        "quick": Size(batch=8, shapes={"image": (64, 64, 3)}, train_samples=64, test_samples=32),
        "standard": Size(batch=32, train_samples=1024, test_samples=256),
    },
)
