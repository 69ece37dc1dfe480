"""A model of your own: say here what it computes, and write it in torch.py and keras.py.

Prove it:  python -m benchmarks verify --models-dir DIR --models NAME
Time it:   python -m benchmarks run --models-dir DIR --models NAME
"""

from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import LossPart, Size, Task, classes, image

TASK = Task(
    title="A small convolutional network",
    reference="where the model was published",
    # Inputs by name: image, features, tokens, mask, noise (benchmarks/tasks/task.py).
    inputs={"image": image(32, 32, 3)},
    # Targets by name: classes, values, labels, like, or {} for none.
    targets={"label": classes(10)},
    # Parts of the loss, of an output against a target; a single output is called "output".
    # None: torch.py and keras.py each define loss(outputs, targets).
    loss=(LossPart("cross_entropy", "output", "label"),),
    optimizer=SGD(0.01, momentum=0.9),
    sizes={"quick": Size(batch=16), "standard": Size(batch=64)},
)
