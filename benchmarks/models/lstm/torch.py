"""The LSTM classifier in PyTorch."""

from torch import Tensor, nn

from benchmarks.tasks.task import Task


class LSTMClassifier(nn.Module):
    """Embedding, one LSTM layer, and a dense layer on its last state."""

    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 128)
        self.lstm = nn.LSTM(128, 128, batch_first=True)
        self.dense = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 80) token ids
        states, _ = self.lstm(self.embedding(x))  # (n, 80, 128)
        return self.dense(states[:, -1])  # (n, 10)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return LSTMClassifier(task.inputs["tokens"].vocabulary, task.targets["label"].count)
