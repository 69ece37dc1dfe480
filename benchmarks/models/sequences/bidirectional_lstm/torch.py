"""The bidirectional LSTM in PyTorch."""

import torch
from torch import Tensor, nn

from benchmarks.models.sequences.bidirectional_lstm import UNITS, VECTOR
from benchmarks.tasks.task import Task


class BidirectionalLSTM(nn.Module):
    """Embedding, two bidirectional LSTM layers, and a dense layer on both last states."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, VECTOR)
        self.lstm = nn.LSTM(VECTOR, UNITS, num_layers=2, bidirectional=True, batch_first=True)
        self.dense = nn.Linear(2 * UNITS, 1)

    def forward(self, x: Tensor) -> Tensor:  # (n, 200) token ids
        _, (last, _) = self.lstm(self.embedding(x))  # (4, n, 64), two of the second layer
        return self.dense(torch.cat([last[2], last[3]], 1))  # (n, 1)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return BidirectionalLSTM(task.inputs["tokens"].vocabulary)
