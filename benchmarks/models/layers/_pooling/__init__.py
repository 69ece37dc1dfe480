"""A pool of 2x2 behind a learned scale of each channel: a pool alone has nothing to train."""

from benchmarks.tasks.task import LossPart, Published, Size, Task, image, values

SIDE, CHANNELS = 112, 64
"""Of the first stage of a ResNet at 224x224."""
QUICK_SIDE, QUICK_CHANNELS = 28, 16


def task(title: str, *, largest: bool) -> Task:
    """The task of a pool of the ``largest`` value of 2x2, else of their mean."""
    return Task(
        title=title,
        reference="He et al.: Deep residual learning, 2015, the maps of its first stage",
        inputs={"image": image(SIDE, SIDE, CHANNELS)},
        targets={"wanted": values(SIDE // 2, SIDE // 2, CHANNELS)},
        loss=(LossPart("mse", "output", "wanted"),),
        published=Published(parameters=2 * CHANNELS, macs=SIDE**2 * CHANNELS),
        settings={"channels": CHANNELS, "largest": largest},
        sizes={
            "quick": Size(
                batch=8,
                shapes={
                    "image": (QUICK_SIDE, QUICK_SIDE, QUICK_CHANNELS),
                    "wanted": (QUICK_SIDE // 2, QUICK_SIDE // 2, QUICK_CHANNELS),
                },
                settings={"channels": QUICK_CHANNELS},
            ),
            "standard": Size(batch=32),
            "large": Size(
                batch=32,
                shapes={"image": (56, 56, 256), "wanted": (28, 28, 256)},
                settings={"channels": 256},
            ),
        },
    )
