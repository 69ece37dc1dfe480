"""A convolution of as many channels as it is given, padded so that the stride alone shrinks it."""

from benchmarks.tasks.task import LossPart, Published, Size, Task, image, values

SIDE, CHANNELS = 56, 64
"""Of the second stage of a ResNet at 224x224."""
QUICK_SIDE, QUICK_CHANNELS = 28, 16
LARGE_SIDE, LARGE_CHANNELS = 14, 256
"""Of its fourth stage."""


def task(title: str, *, kernel: int, stride: int = 1, depthwise: bool = False) -> Task:
    """The task of a convolution with bias; ``depthwise``: of each channel alone."""
    each = kernel**2 * (1 if depthwise else CHANNELS)
    return Task(
        title=title,
        reference="He et al.: Deep residual learning, 2015, the maps of its second stage",
        inputs={"image": image(SIDE, SIDE, CHANNELS)},
        targets={"wanted": values(SIDE // stride, SIDE // stride, CHANNELS)},
        loss=(LossPart("mse", "output", "wanted"),),
        published=Published(
            parameters=CHANNELS * (each + 1), macs=(SIDE // stride) ** 2 * CHANNELS * each
        ),
        settings={"channels": CHANNELS, "kernel": kernel, "stride": stride, "alone": depthwise},
        sizes={
            "quick": Size(
                batch=8,
                shapes={
                    "image": (QUICK_SIDE, QUICK_SIDE, QUICK_CHANNELS),
                    "wanted": (QUICK_SIDE // stride, QUICK_SIDE // stride, QUICK_CHANNELS),
                },
                settings={"channels": QUICK_CHANNELS},
            ),
            "standard": Size(batch=32),
            "large": Size(
                batch=32,
                shapes={
                    "image": (LARGE_SIDE, LARGE_SIDE, LARGE_CHANNELS),
                    "wanted": (LARGE_SIDE // stride, LARGE_SIDE // stride, LARGE_CHANNELS),
                },
                settings={"channels": LARGE_CHANNELS},
            ),
        },
    )
