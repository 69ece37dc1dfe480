"""SSD300 on VGG-16: 26,285,486 parameters, 31.37 GMAC and 8,732 boxes, of 20 classes (VOC).

Liu et al.: SSD: single shot multibox detector, 2016; the layers, anchors and rules are those of
torchvision's ``ssd300_vgg16``, whose 91 classes give 35,641,826 parameters. The input stays 300 at
every size, because the last map is a single cell.

An anchor answers for the object that it overlaps most, by 0.5 or more, and the anchor that an
object overlaps most answers for it, whatever the overlap. The loss is the smooth absolute
difference (beta 1) of the codes, and the cross-entropy of the classes, of which 0 is the
background, over anchors with an object and three times as many others, those of each image with
the highest loss; both are sums over the number of anchors with an object.
"""

import numpy as np

from benchmarks.models.detection._shared.anchors import Boxes, of_level
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import Published, Size, Task, boxes, image

SIDE = 300
CELLS = (38, 19, 10, 5, 3, 1)
STEPS = (8, 16, 32, 64, 100, 300)
SCALES = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
RATIOS = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
STAGES = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))
"""Convolutions of each stage of VGG-16, and its channels as a multiple of the width."""
POOLS = ((2, 2), (2, 2), (2, 2), (2, 2), (3, 1))
"""Size and stride of the max-pooling behind each stage; maps of odd size are padded."""
SCALED = 3
"""The stage whose map is scaled to a learnt length at each position, and is the first of six."""
EXTRA = ((4, 8, 2), (2, 4, 2), (2, 4, 1), (2, 4, 1))
"""Of each further map: multiples of the width of a 1x1 and of a 3x3 convolution, and its stride.

Those of stride 1 are not padded.
"""
WEIGHTS = (10.0, 5.0)
OVERLAP = 0.5
NEGATIVES = 3
FLOOR, CANDIDATES, LIMIT, MOST = 0.01, 400, 0.45, 200
"""Of post-processing: the lowest score, how many of each class are looked at, the overlap beyond
which of two boxes of a class the lower goes, and how many are kept."""


def each(level: int) -> int:
    """Anchors of a cell."""
    return 2 + 2 * len(RATIOS[level])


def anchors() -> Boxes:
    """All anchors (8732, 4), as shares of the image."""
    made = []
    for level, (cells, step) in enumerate(zip(CELLS, STEPS, strict=True)):
        small, between = SCALES[level], np.sqrt(SCALES[level] * SCALES[level + 1])
        shapes = [(small, small), (between, between)]
        for ratio in np.sqrt(RATIOS[level]):
            shapes += [(small * ratio, small / ratio), (small / ratio, small * ratio)]
        apart = (step / SIDE, step / SIDE)
        made.append(of_level(cells, cells, np.clip(shapes, 0, 1), apart))
    return np.concatenate(made)


TASK = Task(
    title="SSD300 on VGG-16",
    reference="Liu et al.: SSD: single shot multibox detector, 2016",
    inputs={"image": image(SIDE, SIDE, 3)},
    targets=boxes("objects", 20, 20),
    loss=None,
    optimizer=SGD(0.001, momentum=0.9),
    published=Published(parameters=26_285_486, macs=31.37e9),
    settings={"width": 64},
    proof_batch=4,
    sizes={
        "quick": Size(batch=2, settings={"width": 8}),
        "standard": Size(batch=8),
    },
)
