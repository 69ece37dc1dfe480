"""ViT-B/16: 86,567,656 parameters, 17.56 GMAC at 224x224.

Dosovitskiy et al.: An image is worth 16x16 words, 2020, table 1; normalisation before each part
with epsilon 1e-6, GELU by erf, and one dense layer as the head, as in torchvision's ``vit_b_16``.
"""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import Adam
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

PATCH = 16
EPSILON = 1e-6

TASK = Task(
    title="ViT-B/16",
    reference="Dosovitskiy et al.: An image is worth 16x16 words, 2020",
    inputs={"image": image(224, 224, 3)},
    targets={"label": classes(1000)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=Adam(0.0003, weight_decay=0.05),
    published=Published(parameters=86_567_656, macs=17.564e9),
    settings={"layers": 12, "width": 768, "heads": 12},
    sizes={
        "quick": Size(
            batch=8,
            shapes={"image": (64, 64, 3)},
            settings={"layers": 2, "width": 128, "heads": 4},
            train_samples=64,
            test_samples=32,
        ),
        "standard": Size(batch=32, train_samples=256, test_samples=64),
    },
)
