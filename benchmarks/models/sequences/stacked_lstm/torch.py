"""The stacked LSTM in PyTorch."""

from torch import Tensor, nn

from benchmarks.models.sequences.stacked_lstm import UNITS
from benchmarks.tasks.task import Task


class StackedLSTM(nn.Module):
    """Two LSTM layers and a dense layer on the last state."""

    def __init__(self, series: int, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(series, UNITS, num_layers=2, batch_first=True)
        self.dense = nn.Linear(UNITS, outputs)

    def forward(self, x: Tensor) -> Tensor:  # (n, 96, 7)
        states, _ = self.lstm(x)  # (n, 96, 64)
        return self.dense(states[:, -1])  # (n, 7)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return StackedLSTM(task.inputs["series"].shape[1], task.targets["next"].shape[0])
