"""One 4x4 transposed convolution of 64 channels that doubles the size, as in DCGAN."""

from benchmarks.tasks.task import LossPart, Published, Size, Task, image, values

TASK = Task(
    title="Transposed convolution 4x4, stride 2",
    reference="Radford, Metz, Chintala: Unsupervised representation learning, 2015",
    inputs={"image": image(28, 28, 64)},
    targets={"wanted": values(56, 56, 64)},
    loss=(LossPart("mse", "output", "wanted"),),
    published=Published(parameters=64 * (16 * 64 + 1), macs=28**2 * 64 * 16 * 64),
    sizes={
        "quick": Size(batch=4, shapes={"image": (14, 14, 64), "wanted": (28, 28, 64)}),
        "standard": Size(batch=32),
        "large": Size(batch=32, shapes={"image": (56, 56, 64), "wanted": (112, 112, 64)}),
    },
)
