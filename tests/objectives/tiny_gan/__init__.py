"""A generator and a discriminator of dense layers, each trained by its own optimizer."""

from benchmarks.tasks.optimizers import SGD, Adam
from benchmarks.tasks.task import (
    LossPart,
    Objective,
    Published,
    Size,
    Task,
    constant,
    features,
    noise,
)

TASK = Task(
    title="Tiny GAN",
    inputs={"noise": noise(5), "real": features(8)},
    targets={"ones": constant(1.0, 1), "zeros": constant(0.0, 1)},
    objectives=(
        Objective(
            name="discriminator",
            trains=("discriminator",),
            loss=(
                LossPart("binary_cross_entropy", "real", "ones"),
                LossPart("binary_cross_entropy", "fake", "zeros", weight=0.5),
            ),
            optimizer=Adam(0.002, beta_1=0.5),
        ),
        Objective(
            name="generator",
            trains=("generator",),
            loss=(LossPart("binary_cross_entropy", "fake", "ones"),),
            optimizer=SGD(0.05, momentum=0.5),
            inputs=("noise",),
        ),
    ),
    published=Published(parameters=5 * 7 + 7 + 2 * 7 + 7 * 8 + 8 + 8 * 6 + 6 + 6 + 1),
    sizes={"quick": Size(batch=16), "standard": Size(batch=64)},
)
