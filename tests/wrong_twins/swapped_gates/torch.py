"""The small LSTM in PyTorch, written out with two of its gates taken for one another."""

from typing import Any

from torch import Tensor, nn

from benchmarks.tasks.task import Task


class SwappedLSTM(nn.LSTM):  # type: ignore[misc] # the checker has no types of torch
    """Gates read in the order input, cell, forget, output; PyTorch's is input, forget, cell."""

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # (n, steps, inputs)
        hidden = cell = x.new_zeros(len(x), self.hidden_size)  # (n, units)
        for step in x.unbind(1):
            gates = nn.functional.linear(step, self.weight_ih_l0, self.bias_ih_l0)
            gates = gates + nn.functional.linear(hidden, self.weight_hh_l0)  # (n, 4 units)
            enter, new, keep, show = gates.chunk(4, dim=1)
            cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
            hidden = show.sigmoid() * cell.tanh()
        return hidden, (hidden[None], cell[None])


class Classifier(nn.Module):  # type: ignore[misc] # the checker has no types of torch
    """Embedding, the LSTM, and a dense layer on its last state."""

    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 6)
        self.lstm = SwappedLSTM(6, 4, batch_first=True)
        nn.init.zeros_(self.lstm.bias_hh_l0)
        self.lstm.bias_hh_l0.requires_grad_(requires_grad=False)
        self.dense = nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Any:  # (n, 5) token ids
        last, _ = self.lstm(self.embedding(x))  # (n, 4)
        return self.dense(last)  # (n, 3)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return Classifier(task.inputs["tokens"].vocabulary, task.targets["label"].count)
