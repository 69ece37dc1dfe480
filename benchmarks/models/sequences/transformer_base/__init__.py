"""The base transformer, encoder and decoder: 63,082,496 parameters.

Vaswani et al.: Attention is all you need, 2017, table 3: 18,914,304 in the encoder, 25,224,192 in
the decoder, and 18,944,000 in one table of 37,000 pieces that both sides and the head share (the
paper says 65 million). Normalisation behind each part, dropout 0.1, label smoothing 0.1.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.optimizers import Adam
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, tokens

PIECES = 37_000
EPSILON = 1e-6
DROPOUT = 0.1


def waves(steps: int, width: int) -> NDArray[np.float32]:
    """The vector (steps, width) of each position: sines, then cosines (section 3.5)."""
    rates = 10_000.0 ** (-np.arange(width // 2) / (width // 2))
    angles = np.arange(steps)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], 1).astype(np.float32)


TASK = Task(
    title="Transformer base",
    reference="Vaswani et al.: Attention is all you need, 2017",
    inputs={"source": tokens(128, PIECES), "target": tokens(128, PIECES)},
    targets={"next": classes(PIECES, 128)},
    loss=(LossPart("cross_entropy", "output", "next", options={"label_smoothing": 0.1}),),
    optimizer=Adam(0.0005, beta_2=0.98),
    published=Published(parameters=63_082_496),
    settings={"layers": 6, "width": 512, "heads": 8},
    sizes={
        "quick": Size(
            batch=2,
            shapes={"source": (24,), "target": (20,), "next": (20,)},
            settings={"layers": 2, "width": 128, "heads": 4},
        ),
        "standard": Size(batch=16),
    },
)
