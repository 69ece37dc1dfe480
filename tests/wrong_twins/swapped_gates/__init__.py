"""An LSTM that reads the cell gate where the forget gate stands, from equal weights."""

from benchmarks.tasks.task import LossPart, Size, Task, classes, tokens

TASK = Task(
    title="A small LSTM",
    reference="none: it exists for tests",
    inputs={"tokens": tokens(5, 64)},
    targets={"label": classes(3)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    sizes={"quick": Size(batch=4), "standard": Size(batch=8)},
)
