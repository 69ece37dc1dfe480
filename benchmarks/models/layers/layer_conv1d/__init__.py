"""One convolution over 128 steps, as of the words of a sentence."""

from benchmarks.tasks.task import LossPart, Published, Size, Task, features, values

TASK = Task(
    title="Convolution over steps",
    reference="Kim: Convolutional neural networks for sentence classification, 2014",
    inputs={"steps": features(128, 256)},
    targets={"wanted": values(128, 256)},
    loss=(LossPart("mse", "output", "wanted"),),
    published=Published(parameters=256 * (3 * 256 + 1), macs=128 * 256 * 3 * 256),
    settings={"channels": 256, "kernel": 3},
    sizes={
        "quick": Size(
            batch=8, shapes={"steps": (32, 64), "wanted": (32, 64)}, settings={"channels": 64}
        ),
        "standard": Size(batch=32),
        "large": Size(batch=32, shapes={"steps": (512, 256), "wanted": (512, 256)}),
    },
)
