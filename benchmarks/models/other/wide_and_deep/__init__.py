"""Wide and deep learning on a table: 2,796,705 parameters, counted by hand.

Cheng et al.: Wide & deep learning for recommender systems, 2016, section 3: a sum of one weight per
category beside a network of vectors of the categories and the numbers, 1024-512-256 with ReLU. The
columns are those of Criteo's click logs, 26 categories and 13 numbers; the categories share a table
of 100,000 rows: 100,000 * (16 + 1) + 1024 * 430 + 512 * 1025 + 256 * 513 + 257. Trained by SGD,
as Keras' Adam on TensorFlow computes something else for categories that repeat.
"""

from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, features, labels, tokens

VECTOR = 16
WIDTHS = (1024, 512, 256)

TASK = Task(
    title="Wide and deep",
    reference="Cheng et al.: Wide & deep learning for recommender systems, 2016",
    inputs={"categories": tokens(26, 100_000), "numbers": features(13)},
    targets={"clicked": labels(1)},
    loss=(LossPart("binary_cross_entropy", "output", "clicked"),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=2_796_705, macs=1_094_912),
    sizes={"quick": Size(batch=64), "standard": Size(batch=512)},
)
