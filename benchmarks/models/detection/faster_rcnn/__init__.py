"""Faster R-CNN on ResNet-50 with a feature pyramid: 41,755,286 parameters at 800x800.

Ren et al.: Faster R-CNN: towards real-time object detection with region proposal networks, 2015;
the layers, anchors and rules are those of torchvision's ``fasterrcnn_resnet50_fpn``, of 90 classes
beside the background. Its normalisation is frozen; the 53,120 scales and shifts of it, which are
buffers there, are counted here: 41,808,406. The published 134.38 GMAC are those of inference, with
1,000 regions; a training step, which the proof counts, has 512. The features of a region are
flattened with the channels last.

The model takes the objects, too: where it trains, it samples the regions that it looks at. What is
drawn at random are keys, which are given: of those that may be taken, the lowest keys are.

Of the anchors, 256 count in each image, at most half of them with an object: those that overlap
one by 0.7, and those that an object overlaps most, against those that overlap none by 0.3. Of the
proposals and the objects, 512 are looked at, at most a quarter of them with an object, which
overlap it by 0.5. The losses are the binary cross-entropy of the anchors, the cross-entropy of the
classes, and the smooth absolute differences (beta 1/9) of both codes, each over the number of
those that count.
"""

import numpy as np

from benchmarks.models.detection._shared.anchors import Boxes, of_pyramid
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import Published, Size, Task, boxes, classes, image, known, tokens

SIZES = ((32,), (64,), (128,), (256,), (512,))
RATIOS = (0.5, 1.0, 2.0)
EACH = 3
"""Anchors of a cell."""
STAGES = 4
LOW, HIGH, SAMPLES, POSITIVE = 0.3, 0.7, 256, 128
OVERLAP, SHARE = 0.5, 4
"""Of a region with an object, at least; a quarter of the regions have one, at most."""
PROPOSED = 0.7
"""Overlap beyond which of two proposals of a level the lower goes."""
SMALLEST, SMALL = 1e-3 / 800, 1e-2 / 800
"""Least sides of a proposal and of a detection, as shares of the image."""
BETA = 1 / 9
PLAIN, WEIGHTS = (1.0, 1.0), (10.0, 5.0)
"""Weights of the codes of anchors and of regions."""
FLOOR, CANDIDATES, LIMIT, MOST = 0.05, 1000, 0.5, 100
"""Of post-processing: the lowest score, how many of all scores are looked at (all in torchvision),
the overlap beyond which of two boxes of a class the lower goes, and how many are kept."""
OBJECTS = 20
KEYS = 2**31 - 1


def cells(side: int) -> list[int]:
    """Along a side, the cells of each of five levels."""
    return [side // 4, side // 8, side // 16, side // 32, (side // 32 + 1) // 2]


def anchors(side: int) -> list[Boxes]:
    """The anchors (cells * cells * 3, 4) of each level, as shares of a square image."""
    return of_pyramid(side, cells(side), SIZES, RATIOS)


def count(side: int) -> int:
    """How many anchors there are."""
    return EACH * int(np.square(cells(side)).sum())


TASK = Task(
    title="Faster R-CNN on ResNet-50 FPN",
    reference="Ren et al.: Faster R-CNN: towards real-time object detection, 2015",
    inputs={
        "image": image(800, 800, 3),
        "boxes": known("objects.boxes", OBJECTS, 4),
        "classes": known("objects.classes", OBJECTS),
        "there": known("objects.mask", OBJECTS),
        "keys": tokens(2000 + OBJECTS, KEYS),
    },
    targets=boxes("objects", OBJECTS, 90) | {"anchor_keys": classes(KEYS, count(800))},
    loss=None,
    optimizer=SGD(0.001, momentum=0.9),
    published=Published(parameters=41_755_286 + 53_120),
    settings={
        "width": 64,
        "filters": 256,
        "dense": 1024,
        "candidates": 2000,
        "proposals": 2000,
        "regions": 512,
    },
    proof_batch=2,
    heavy=True,
    sizes={
        "quick": Size(
            batch=2,
            shapes={
                "image": (128, 128, 3),
                "keys": (100 + OBJECTS,),
                "anchor_keys": (count(128),),
            },
            settings={
                "width": 8,
                "filters": 32,
                "dense": 64,
                "candidates": 100,
                "proposals": 100,
                "regions": 64,
            },
        ),
        "standard": Size(batch=2),
    },
)
"""``candidates`` of each level and ``proposals`` of all are halved where the model infers."""
