"""A variational autoencoder, 784-400-20-400-784: 652,824 parameters.

Kingma & Welling: Auto-encoding variational Bayes, 2013; widths and losses of PyTorch's example
``vae``, the losses divided by the 784 pixels. What is drawn at random is an input, so that both
twins draw the same.
"""

from benchmarks.tasks.optimizers import Adam
from benchmarks.tasks.task import Published, Size, Task, features, like, noise

WIDTH, CODE = 400, 20

TASK = Task(
    title="Variational autoencoder",
    reference="Kingma & Welling: Auto-encoding variational Bayes, 2013",
    inputs={"features": features(784), "noise": noise(CODE)},
    targets={"same": like("features")},
    loss=None,
    optimizer=Adam(0.001),
    published=Published(parameters=652_824, macs=651_200),
    sizes={"quick": Size(batch=32), "standard": Size(batch=128)},
)
