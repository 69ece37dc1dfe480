"""One 3x3x3 convolution of 64 channels over 16 frames."""

from benchmarks.tasks.task import LossPart, Published, Size, Task, features, values

TASK = Task(
    title="Convolution 3x3x3",
    reference="Tran et al.: Learning spatiotemporal features with 3D convolutional networks, 2015",
    inputs={"frames": features(16, 28, 28, 64)},
    targets={"wanted": values(16, 28, 28, 64)},
    loss=(LossPart("mse", "output", "wanted"),),
    published=Published(parameters=64 * (27 * 64 + 1), macs=16 * 28 * 28 * 64 * 27 * 64),
    settings={"channels": 64, "kernel": 3},
    sizes={
        "quick": Size(
            batch=4,
            shapes={"frames": (8, 14, 14, 16), "wanted": (8, 14, 14, 16)},
            settings={"channels": 16},
        ),
        "standard": Size(batch=8),
        "large": Size(batch=8, shapes={"frames": (16, 56, 56, 64), "wanted": (16, 56, 56, 64)}),
    },
)
