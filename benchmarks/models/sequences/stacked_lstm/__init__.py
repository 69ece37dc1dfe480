"""Two LSTM layers that forecast a time series: 51,911 parameters, counted by hand.

The shapes are those of the ETT data (Zhou et al.: Informer, 2021): 7 series, 96 steps, and here the
next step of each. Layers of 64 units: 4 * 64 * (7 + 64 + 1) + 4 * 64 * (64 + 64 + 1) + 64 * 7 + 7.
"""

from benchmarks.tasks.optimizers import Adam
from benchmarks.tasks.task import LossPart, Published, Size, Task, features, values

UNITS = 64

TASK = Task(
    title="Stacked LSTM forecast",
    reference="Hochreiter & Schmidhuber, 1997; data shapes of Zhou et al.: Informer, 2021",
    inputs={"series": features(96, 7)},
    targets={"next": values(7)},
    loss=(LossPart("mse", "output", "next"),),
    optimizer=Adam(0.001),
    published=Published(parameters=51_911),
    sizes={
        "quick": Size(batch=16, shapes={"series": (48, 7)}),
        "standard": Size(batch=32),
    },
)
