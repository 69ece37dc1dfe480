"""A deep autoencoder, 784-1000-500-250-30 and back: 2,837,314 parameters, counted by hand.

Hinton & Salakhutdinov: Reducing the dimensionality of data with neural networks, 2006, the network
for handwritten digits; logistic units, and linear ones in the middle and at the end.
"""

from benchmarks.tasks.optimizers import Adam
from benchmarks.tasks.task import LossPart, Published, Size, Task, features, like

WIDTHS = (1000, 500, 250, 30)

TASK = Task(
    title="Autoencoder 784-30",
    reference="Hinton & Salakhutdinov: Reducing the dimensionality of data, 2006",
    inputs={"features": features(784)},
    targets={"same": like("features")},
    loss=(LossPart("mse", "output", "same"),),
    optimizer=Adam(0.001),
    published=Published(parameters=2_837_314, macs=2_833_000),
    sizes={"quick": Size(batch=32), "standard": Size(batch=128)},
)
