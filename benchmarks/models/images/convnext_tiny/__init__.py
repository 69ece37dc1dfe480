"""ConvNeXt-T: 28,589,128 parameters, 4.46 GMAC at 224x224.

Liu et al.: A ConvNet for the 2020s, 2022, section 3; epsilon 1e-6 and GELU by erf, as torchvision's
``convnext_tiny`` has. Stochastic depth is left out. The scale of each block starts at 0.1, where
the paper's 1e-6 would hide the block from the proof.
"""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import Adam
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

STAGES = ((3, 96), (3, 192), (9, 384), (3, 768))
"""Blocks and channels of each stage."""
EPSILON = 1e-6
START = 0.1

TASK = Task(
    title="ConvNeXt-T",
    reference="Liu et al.: A ConvNet for the 2020s, 2022",
    inputs={"image": image(224, 224, 3)},
    targets={"label": classes(1000)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=Adam(0.001, weight_decay=0.05),
    published=Published(parameters=28_589_128, macs=4.46e9),
    proof_batch=2,
    sizes={
        "quick": Size(batch=2, shapes={"image": (64, 64, 3)}, train_samples=16, test_samples=8),
        "standard": Size(batch=32, train_samples=256, test_samples=64),
    },
)
