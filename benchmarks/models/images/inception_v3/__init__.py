"""Inception-v3: 23,834,568 parameters without the auxiliary head, 5.71 GMAC at 299x299.

Szegedy et al.: Rethinking the Inception architecture for computer vision, 2015, as torchvision's
``inception_v3(aux_logits=False)`` has it: epsilon 1e-3, dropout 0.5, and means that count the
padding. (``keras.applications`` leaves the padding out of its means, has normalisations without
scale, and no dropout.) The quick size ends in a map of 2x2: of one of 1x1, which 75x75 gives, batch
normalisation would see no more values than the batch has samples.
"""

from typing import Literal, NamedTuple

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, image

EPSILON = 1e-3
LAST_SCALE = 0.1
"""Where the normalisations of the last block start. Without shortcuts gradients grow by each
normalisation (Yang et al.: A mean field theory of batch normalization, 2019): with 1, three steps
of SGD would make 4e-9 of the rounding of float64."""


class Conv(NamedTuple):
    """A convolution: channels, kernel and stride; where that is 2 there is no padding."""

    filters: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1


Step = Conv | tuple[Conv, ...] | Literal["mean", "max"]
"""What a branch does next: a convolution, several of the same map side by side, the mean of 3x3
around each place, or the maximum of 3x3 with stride 2."""
Block = tuple[tuple[Step, ...], ...]
"""Branches that are given the same map, and whose maps are put side by side."""


def wide(pooled: int) -> Block:
    """Of 35x35 maps, ``pooled`` channels behind the mean (figure 5)."""
    return (
        (Conv(64),),
        (Conv(48), Conv(64, 5)),
        (Conv(64), Conv(96, 3), Conv(96, 3)),
        ("mean", Conv(pooled)),
    )


def split(inner: int) -> Block:
    """Of 17x17 maps, 7x7 split into 1x7 and 7x1 of ``inner`` channels (figure 6)."""
    row, column = (1, 7), (7, 1)
    return (
        (Conv(192),),
        (Conv(inner), Conv(inner, row), Conv(192, column)),
        (
            *(Conv(inner), Conv(inner, column), Conv(inner, row)),
            *(Conv(inner, column), Conv(192, row)),
        ),
        ("mean", Conv(192)),
    )


BESIDE = (Conv(384, (1, 3)), Conv(384, (3, 1)))
LAST: Block = (
    (Conv(320),),
    (Conv(384), BESIDE),
    (Conv(448), Conv(384, 3), BESIDE),
    ("mean", Conv(192)),
)
"""Of 8x8 maps (figure 7)."""
BLOCKS: tuple[Block, ...] = (
    *(wide(32), wide(64), wide(64)),
    ((Conv(384, 3, 2),), (Conv(64), Conv(96, 3), Conv(96, 3, 2)), ("max",)),
    *(split(128), split(160), split(160), split(192)),
    (
        (Conv(192), Conv(320, 3, 2)),
        (Conv(192), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, 3, 2)),
        ("max",),
    ),
    *(LAST, LAST),
)

TASK = Task(
    title="Inception-v3",
    reference="Szegedy et al.: Rethinking the Inception architecture for computer vision, 2015",
    inputs={"image": image(299, 299, 3)},
    targets={"label": classes(1000)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=23_834_568, macs=5.71e9),
    proof_batch=4,
    sizes={
        "quick": Size(batch=4, shapes={"image": (107, 107, 3)}, train_samples=16, test_samples=8),
        "standard": Size(batch=32, train_samples=256, test_samples=64),
    },
)
