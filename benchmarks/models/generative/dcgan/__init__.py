"""DCGAN at 64x64: generator 3,576,704 and discriminator 2,765,568 parameters, an optimizer each.

Radford, Metz, Chintala: Unsupervised representation learning with deep convolutional generative
adversarial networks, 2015, figure 1; channels, epsilon 1e-5 and momentum 0.9 of PyTorch's example
``dcgan``. A step trains the discriminator on real and on generated images, then the generator on
what the discriminator, now moved, says of its images.
"""

from benchmarks.tasks.optimizers import Adam
from benchmarks.tasks.task import (
    LossPart,
    Objective,
    Published,
    Size,
    Task,
    constant,
    image,
    noise,
)

EPSILON, MOMENTUM, SLOPE = 1e-5, 0.9, 0.2

TASK = Task(
    title="DCGAN",
    reference="Radford, Metz, Chintala: Unsupervised representation learning, 2015",
    inputs={"noise": noise(100), "real": image(64, 64, 3)},
    targets={"ones": constant(1.0, 1), "zeros": constant(0.0, 1)},
    objectives=(
        Objective(
            name="discriminator",
            trains=("discriminator",),
            loss=(
                LossPart("binary_cross_entropy", "real", "ones"),
                LossPart("binary_cross_entropy", "fake", "zeros"),
            ),
            optimizer=Adam(0.0002, beta_1=0.5),
        ),
        Objective(
            name="generator",
            trains=("generator",),
            loss=(LossPart("binary_cross_entropy", "fake", "ones"),),
            optimizer=Adam(0.0002, beta_1=0.5),
            inputs=("noise",),
        ),
    ),
    # The discriminator is called twice: 104,628,224 + 2 * 103,817,216 multiply-accumulates.
    published=Published(parameters=3_576_704 + 2_765_568, macs=312_262_656),
    settings={"width": 64},
    sizes={
        "quick": Size(batch=8, settings={"width": 16}),
        "standard": Size(batch=128),
    },
)
