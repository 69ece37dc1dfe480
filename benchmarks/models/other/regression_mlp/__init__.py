"""A regression on a small table, 9-64-64-1: 4,865 parameters.

TensorFlow's tutorial "Basic regression: Predict fuel efficiency", its network of two hidden layers
on the 9 columns of the Auto MPG data, without the layer that normalises them; mean absolute error,
Adam 0.001.
"""

from benchmarks.tasks.optimizers import Adam
from benchmarks.tasks.task import LossPart, Published, Size, Task, features, values

WIDTH = 64

TASK = Task(
    title="Regression MLP 9-64-64-1",
    reference="TensorFlow: Basic regression: Predict fuel efficiency, 2019",
    inputs={"columns": features(9)},
    targets={"value": values(1)},
    loss=(LossPart("mae", "output", "value"),),
    optimizer=Adam(0.001),
    published=Published(parameters=4_865, macs=4_736),
    sizes={"quick": Size(batch=32), "standard": Size(batch=32)},
)
