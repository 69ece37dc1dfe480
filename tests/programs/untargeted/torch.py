"""A model without a target in PyTorch: it takes its inputs as one mapping."""

from collections.abc import Mapping

from torch import Tensor, nn

from benchmarks.tasks.task import Task


class Noisy(nn.Module):
    """Two layers, noise added between them; it gives both."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 3), nn.Linear(3, 2)

    def forward(self, given: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        mean = self.first(given["features"])
        return self.second(mean + given["noise"]), mean


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    del task
    return Noisy()


def loss(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """Both outputs are to be small; one scalar, and no mapping."""
    assert not targets
    return outputs["output_0"].square().mean() + outputs["output_1"].abs().mean()
