"""A graph convolutional network of two layers: 23,040 parameters.

Kipf & Welling: Semi-supervised classification with graph convolutional networks, 2016, equation 9
and section 5.2, on the shapes of Cora: 2,708 nodes of 1,433 features, 16 hidden ones, 7 classes,
dropout 0.5; without biases, as in the authors' code. The normalised adjacency is a dense input,
whose values are drawn with variance 1 here: both twins multiply its sums by 1 / sqrt(nodes).
"""

from benchmarks.tasks.optimizers import Adam
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, features

WIDTH = 16
NODES, FEATURES, CLASSES = 2708, 1433, 7

TASK = Task(
    title="GCN",
    reference="Kipf & Welling: Semi-supervised classification with graph networks, 2016",
    inputs={"nodes": features(NODES, FEATURES), "adjacency": features(NODES, NODES)},
    targets={"label": classes(CLASSES, NODES)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    optimizer=Adam(0.01),
    published=Published(parameters=23_040),
    sizes={
        "quick": Size(
            batch=2, shapes={"nodes": (128, FEATURES), "adjacency": (128, 128), "label": (128,)}
        ),
        "standard": Size(batch=1),
    },
)
