"""A character model of Shakespeare: 820,522 parameters.

McMahan et al.: Communication-efficient learning of deep networks from decentralized data, 2017,
section 3: vectors of 8, two LSTM layers of 256 units, the next character at each of 80 steps; with
the 90 characters of Reddi et al.: Adaptive federated optimization, 2021:
90 * 8 + 4 * 256 * (8 + 256 + 1) + 4 * 256 * (256 + 256 + 1) + 257 * 90.
"""

from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, tokens

VECTOR, UNITS, CHARACTERS = 8, 256, 90

TASK = Task(
    title="Character LSTM",
    reference="McMahan et al.: Communication-efficient learning of deep networks, 2017",
    inputs={"text": tokens(80, CHARACTERS)},
    targets={"next": classes(CHARACTERS, 80)},
    loss=(LossPart("cross_entropy", "output", "next"),),
    optimizer=SGD(0.5),
    published=Published(parameters=820_522),
    sizes={
        "quick": Size(batch=8, shapes={"text": (40,), "next": (40,)}),
        "standard": Size(batch=32),
    },
)
