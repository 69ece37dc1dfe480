"""Sequence classification: embedding, LSTM 128, dense; sizes of the IMDB examples of Keras."""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, tokens

TASK = Task(
    title="LSTM classifier",
    reference="Hochreiter & Schmidhuber: Long short-term memory, 1997",
    inputs={"tokens": tokens(80, 20_000)},
    targets={"label": classes(10)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=2_692_874),
    family="sequences",
    sizes={
        "quick": Size(batch=32, train_samples=256, test_samples=96),
        "standard": Size(batch=32),
    },
)
