"""The GRU of the Rosetta stone of deep learning: 3,818,302 parameters.

github.com/ilkarman/DeepLearningFrameworks, the IMDB notebooks: 30,000 words, 150 of them in a
review, vectors of 125, one GRU of 100 units, 2 classes, batch 64. The reset gate is applied after
the product (``reset_after``), as cuDNN and PyTorch do, which takes two biases. Trained by SGD, as
Keras' Adam, which the notebooks take, computes something else for words that repeat on TensorFlow.
"""

from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Published, Size, Task, classes, tokens

VECTOR, UNITS = 125, 100

TASK = Task(
    title="Rosetta GRU",
    reference="Karmanov et al.: github.com/ilkarman/DeepLearningFrameworks, 2017",
    inputs={"tokens": tokens(150, 30_000)},
    targets={"label": classes(2)},
    loss=(LossPart("cross_entropy", "output", "label"),),
    metrics=(accuracy(),),
    optimizer=SGD(0.01, momentum=0.9),
    published=Published(parameters=3_818_302),
    sizes={
        "quick": Size(batch=16, shapes={"tokens": (40,)}),
        "standard": Size(batch=64),
    },
)
