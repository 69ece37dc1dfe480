"""The network of a denoising diffusion model at 32x32: 35,746,307 parameters.

Ho, Jain, Abbeel: Denoising diffusion probabilistic models, 2020, appendix B, the CIFAR-10 model of
35.7 million: width 128, multiples 1, 2, 2, 2, two blocks at each size, attention at 16x16, group
normalisation with epsilon 1e-6, dropout 0.1. The noise and the time are inputs, so that both twins
draw the same. Where a stride is 2, padding is TensorFlow's ``same``, one at the end.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.optimizers import Adam
from benchmarks.tasks.task import LossPart, Published, Size, Task, image, like, tokens

MULTIPLES = (1, 2, 2, 2)
BLOCKS = 2
ATTENDS = 1
"""The level, counted from the whole image, at which there is attention."""
EPSILON = 1e-6
DROPOUT = 0.1
TIMES = 1000

Table = NDArray[np.float32]


def schedule() -> tuple[Table, Table]:
    """What share of the image and of the noise is left at each time, each (1000,)."""
    kept = np.cumprod(1.0 - np.linspace(1e-4, 0.02, TIMES))
    return np.sqrt(kept).astype(np.float32), np.sqrt(1.0 - kept).astype(np.float32)


def waves(width: int) -> Table:
    """The vector (1000, width) of each time: sines, then cosines."""
    half = width // 2
    angles = np.arange(TIMES)[:, None] * 10_000.0 ** (-np.arange(half) / (half - 1))
    return np.concatenate([np.sin(angles), np.cos(angles)], 1).astype(np.float32)


TASK = Task(
    title="DDPM U-Net",
    reference="Ho, Jain, Abbeel: Denoising diffusion probabilistic models, 2020",
    inputs={"image": image(32, 32, 3), "noise": image(32, 32, 3), "time": tokens(1, TIMES)},
    targets={"same": like("noise")},
    loss=(LossPart("mse", "output", "same"),),
    optimizer=Adam(0.0002),
    published=Published(parameters=35_746_307),
    settings={"width": 128, "groups": 32},
    sizes={
        "quick": Size(batch=2, settings={"width": 32, "groups": 8}),
        "standard": Size(batch=32),
    },
)
