"""GPT-2 small: 124,439,808 parameters, 106.3 GMAC at 1,024 tokens without the head, which is tied.

Radford et al.: Language models are unsupervised multitask learners, 2019, table 2, first row:
normalisation before each part with epsilon 1e-5, GELU in the tanh form, dropout 0.1.

It generates greedily: the first half of a sequence is the prompt, the cache has a place for each
token of the whole one.
"""

from benchmarks.tasks.optimizers import Adam
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, tokens

VOCABULARY, POSITIONS = 50_257, 1024
EPSILON = 1e-5
DROPOUT = 0.1

TASK = Task(
    title="GPT-2 small",
    reference="Radford et al.: Language models are unsupervised multitask learners, 2019",
    inputs={"tokens": tokens(POSITIONS, VOCABULARY)},
    targets={"next": classes(VOCABULARY, POSITIONS)},
    loss=(LossPart("cross_entropy", "output", "next"),),
    optimizer=Adam(0.0006, weight_decay=0.1),
    published=Published(parameters=124_439_808, macs=106.3e9),
    settings={"layers": 12, "width": 768, "heads": 12},
    sizes={
        "quick": Size(
            batch=2,
            shapes={"tokens": (32,), "next": (32,)},
            settings={"layers": 2, "width": 128, "heads": 4},
        ),
        "standard": Size(batch=4),
    },
)
