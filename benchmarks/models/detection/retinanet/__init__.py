"""RetinaNet on ResNet-50 with a feature pyramid: 34,014,999 parameters, 151.54 GMAC at 800x800.

Lin et al.: Focal loss for dense object detection, 2017; the layers, anchors and rules are those of
torchvision's ``retinanet_resnet50_fpn``, of 91 classes. Its normalisation is frozen; the 53,120
scales and shifts of it, which are buffers there, are counted here: 34,068,119.

An anchor answers for the object that it overlaps most, by 0.5 or more; below 0.4 it is background,
and between the two it does not count. The anchors that an object overlaps most answer for what
they overlap most, whatever the overlap. The loss is the absolute difference of the codes, and the
focal loss of every class with alpha 0.25 and gamma 2; both are sums over the number of anchors
with an object of an image, and means over images.
"""

import math

from benchmarks.models.detection._shared.anchors import Boxes, of_pyramid
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import Published, Size, Task, boxes, image

SIZES = tuple((x, int(x * 2 ** (1 / 3)), int(x * 2 ** (2 / 3))) for x in (32, 64, 128, 256, 512))
RATIOS = (0.5, 1.0, 2.0)
EACH = 9
"""Anchors of a cell."""
STAGES = 3
"""The last maps of ResNet-50 that the pyramid is made of; two more are made of the last one."""
CONVOLUTIONS = 4
"""Of each head, before the one that gives codes or logits."""
LOW, HIGH = 0.4, 0.5
ALPHA, GAMMA = 0.25, 2
PRIOR = -math.log((1 - 0.01) / 0.01)
"""Where the bias of the logits starts: a score of 0.01."""
WEIGHTS = (1.0, 1.0)
FLOOR, CANDIDATES, LIMIT, MOST = 0.05, 1000, 0.5, 300
"""Of post-processing: the lowest score, how many of each level are looked at, the overlap beyond
which of two boxes of a class the lower goes, and how many are kept."""


def anchors(side: int) -> list[Boxes]:
    """The anchors (cells * cells * 9, 4) of each of five levels, as shares of a square image."""
    cells = [side // 8, side // 16, side // 32]
    for _ in range(2):
        cells.append((cells[-1] + 1) // 2)
    return of_pyramid(side, cells, SIZES, RATIOS)


TASK = Task(
    title="RetinaNet on ResNet-50 FPN",
    reference="Lin et al.: Focal loss for dense object detection, 2017",
    inputs={"image": image(800, 800, 3)},
    targets=boxes("objects", 20, 91),
    loss=None,
    optimizer=SGD(0.001, momentum=0.9),
    published=Published(parameters=34_014_999 + 53_120, macs=151.54e9),
    settings={"width": 64, "filters": 256},
    proof_batch=2,
    heavy=True,
    sizes={
        "quick": Size(
            batch=2, shapes={"image": (128, 128, 3)}, settings={"width": 8, "filters": 32}
        ),
        "standard": Size(batch=2),
    },
)
