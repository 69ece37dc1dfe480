"""YOLOv3-tiny: 8,852,366 parameters, 2.782 GMAC (5.56 published BFLOP) and 2,535 boxes at 416x416.

Redmon & Farhadi: YOLOv3: an incremental improvement, 2018; layers and anchors of its published
configuration ``yolov3-tiny.cfg`` for the 80 classes of COCO, which has two grids of three anchors.
An object belongs to the anchor whose shape is most like its own, in the cell that holds its centre;
of two objects of one anchor the last one stays.

The published code states gradients, not a loss. They are the ones of this loss, summed over boxes
and divided by the number of images: for an anchor with an object of width w and height h, as
shares of the image, ``(2 - w h)`` times the binary cross-entropy of both coordinates of the centre
within its cell and times half the squared error of the logarithms of width and height over the
anchor's; the binary cross-entropy of every class; and, of every anchor, that of there being an
object, but for the anchors without one whose box overlaps one by more than 0.5.
"""

import numpy as np

from benchmarks.models.detection._shared.anchors import Boxes, of_level
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import Published, Size, Task, boxes, image

ANCHORS = (((81, 82), (135, 169), (344, 319)), ((10, 14), (23, 27), (37, 58)))
"""Widths and heights, in pixels of an image of 416, of the coarse grid and of the fine one."""
ANCHORED = 416
STRIDES = (32, 16)
EACH = 3
"""Anchors of a cell."""
SLOPE = 0.1
"""Of the leaky ReLU."""
IGNORED = 0.5
"""Overlap beyond which a box without an object is not held to be empty."""
FLOOR, CANDIDATES, LIMIT, MOST = 0.005, 400, 0.45, 100
"""Of post-processing: the lowest score, how many of all scores are looked at, the overlap beyond
which of two boxes of a class the lower goes, and how many are kept."""


def anchors(side: int) -> Boxes:
    """Of each anchor at a square image: left and top of its cell, then its width and height.

    As shares of the image, (anchors, 5) with the width of the cell in between.
    """
    made = []
    for stride, shapes in zip(STRIDES, ANCHORS, strict=True):
        cells = side // stride
        step = np.full((cells * cells * EACH, 1), 1 / cells)
        found = of_level(cells, cells, np.array(shapes) / ANCHORED, (1 / cells, 1 / cells), 0.0)
        corner = (found[:, :2] + found[:, 2:]) / 2
        made.append(np.concatenate([corner, step, found[:, 2:] - found[:, :2]], -1))
    return np.concatenate(made)


TASK = Task(
    title="YOLOv3-tiny",
    reference="Redmon & Farhadi: YOLOv3: an incremental improvement, 2018",
    inputs={"image": image(416, 416, 3)},
    targets=boxes("objects", 20, 80),
    loss=None,
    optimizer=SGD(0.001, momentum=0.9),
    published=Published(parameters=8_852_366, macs=2.782e9),
    settings={"width": 16},
    sizes={
        "quick": Size(batch=4, shapes={"image": (128, 128, 3)}, settings={"width": 4}),
        "standard": Size(batch=16),
    },
)
