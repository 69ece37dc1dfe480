"""A bidirectional LSTM on movie reviews: 2,757,761 parameters.

Keras' code example ``bidirectional_lstm_imdb``: 20,000 words, 200 of them in a review, vectors of
128, two bidirectional LSTM layers of 64 units each way, one logit, batch 32.
Trained by SGD, where the example takes Adam: Keras' Adam on TensorFlow computes something else for
words that repeat.
"""

from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, labels, tokens

VECTOR, UNITS = 128, 64

TASK = Task(
    title="Bidirectional LSTM",
    reference="Chollet: keras.io/examples/nlp/bidirectional_lstm_imdb, 2020",
    inputs={"tokens": tokens(200, 20_000)},
    targets={"positive": labels(1)},
    loss=(LossPart("binary_cross_entropy", "output", "positive"),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=2_757_761),
    sizes={
        "quick": Size(batch=16, shapes={"tokens": (40,)}),
        "standard": Size(batch=32),
    },
)
