"""The graph convolutional network in PyTorch."""

from torch import Tensor, nn

from benchmarks.models.other.gcn import WIDTH
from benchmarks.tasks.task import Task


class GCN(nn.Module):
    """Two products of features with weights, each followed by one with the adjacency."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.drop1 = nn.Dropout(0.5)
        self.dense1 = nn.Linear(features, WIDTH, bias=False)
        self.relu = nn.ReLU()
        self.drop2 = nn.Dropout(0.5)
        self.dense2 = nn.Linear(WIDTH, classes, bias=False)

    def forward(self, nodes: Tensor, adjacency: Tensor) -> Tensor:
        """Logits (n, nodes, 7) of nodes (n, nodes, 1433) with adjacency (n, nodes, nodes)."""
        scale = adjacency.shape[-1] ** -0.5
        x = self.relu(adjacency @ (self.dense1(self.drop1(nodes)) * scale))  # (n, nodes, 16)
        return adjacency @ (self.dense2(self.drop2(x)) * scale)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return GCN(task.inputs["nodes"].shape[1], task.targets["label"].count)
