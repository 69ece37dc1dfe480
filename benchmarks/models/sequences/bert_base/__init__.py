"""BERT-base (uncased) as a classifier of pairs: 109,483,778 parameters, 11.17 GMAC at 128 tokens.

Devlin et al.: BERT: Pre-training of deep bidirectional transformers, 2018, section 3: 109,482,240
with the pooler, and a dense layer of 2 classes. Epsilon 1e-12, dropout 0.1, and GELU by erf as
published; KerasHub's BERT has the tanh form, which is another function. Trained by SGD, as Keras'
Adam on TensorFlow computes something else for tokens that repeat.
"""

from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, mask, tokens

VOCABULARY, POSITIONS, SEGMENTS = 30_522, 512, 2
EPSILON = 1e-12
DROPOUT = 0.1

TASK = Task(
    title="BERT-base",
    reference="Devlin et al.: BERT, 2018",
    inputs={
        "tokens": tokens(128, VOCABULARY),
        "segments": tokens(128, SEGMENTS),
        "mask": mask(128),
    },
    targets={"label": classes(2)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=109_483_778, macs=11.17e9),
    settings={"layers": 12, "width": 768, "heads": 12},
    sizes={
        "quick": Size(
            batch=4,
            shapes={"tokens": (32,), "segments": (32,), "mask": (32,)},
            settings={"layers": 2, "width": 128, "heads": 4},
        ),
        "standard": Size(batch=16),
    },
)
