"""The Rosetta GRU in PyTorch."""

from torch import Tensor, nn

from benchmarks.models.sequences.gru import UNITS, VECTOR
from benchmarks.tasks.task import Task


class GRUClassifier(nn.Module):
    """Embedding, one GRU layer, and a dense layer on its last state."""

    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, VECTOR)
        self.gru = nn.GRU(VECTOR, UNITS, batch_first=True)
        self.dense = nn.Linear(UNITS, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 150) token ids
        states, _ = self.gru(self.embedding(x))  # (n, 150, 100)
        return self.dense(states[:, -1])  # (n, 2)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return GRUClassifier(task.inputs["tokens"].vocabulary, task.targets["label"].count)
