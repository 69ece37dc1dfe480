"""The character model in PyTorch."""

from torch import Tensor, nn

from benchmarks.models.sequences.char_lstm import UNITS, VECTOR
from benchmarks.tasks.task import Task


class CharLSTM(nn.Module):
    """Embedding, two LSTM layers, and a dense layer on the state of every step."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, VECTOR)
        self.lstm = nn.LSTM(VECTOR, UNITS, num_layers=2, batch_first=True)
        self.dense = nn.Linear(UNITS, characters)

    def forward(self, x: Tensor) -> Tensor:  # (n, 80) ids
        states, _ = self.lstm(self.embedding(x))  # (n, 80, 256)
        return self.dense(states)  # (n, 80, 90)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return CharLSTM(task.inputs["text"].vocabulary)
