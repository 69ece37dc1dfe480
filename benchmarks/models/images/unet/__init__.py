"""U-Net with padded convolutions: 31,030,658 parameters, 48.1 GMAC at 256x256, 2 classes a pixel.

Ronneberger, Fischer, Brox: U-Net: Convolutional networks for biomedical image segmentation, 2015,
figure 1: its channels and its two classes. Convolutions keep the size, where the paper's crop.
"""

from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

DEPTH = 4
"""Times the map is halved, and made larger again."""

TASK = Task(
    title="U-Net",
    reference="Ronneberger, Fischer, Brox: U-Net, 2015",
    inputs={"image": image(256, 256, 1)},
    targets={"mask": classes(2, 256, 256)},
    loss=(LossPart("cross_entropy", "output", "mask"),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=31_030_658, macs=48.09e9),
    settings={"width": 64},
    sizes={
        "quick": Size(
            batch=2,
            shapes={"image": (64, 64, 1), "mask": (64, 64)},
            settings={"width": 16},
        ),
        "standard": Size(batch=8),
    },
)
