"""ViT-B/16 in PyTorch."""

from torch import Tensor, nn

from benchmarks.models._learned.torch import ClassToken, Positions
from benchmarks.models.images.vit_b16 import EPSILON, PATCH
from benchmarks.tasks.task import Task


class Layer(nn.Module):
    """Attention and two dense layers, each behind a normalisation and added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.dense1 = nn.Linear(width, 4 * width)
        self.gelu = nn.GELU()
        self.dense2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:  # (n, steps, width)
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.dense2(self.gelu(self.dense1(self.norm2(x))))


class ViT(nn.Module):
    """16x16 patches and a token for the class, layers of attention, and a dense layer."""

    def __init__(
        self, channels: int, patches: int, layers: int, width: int, heads: int, classes: int
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, width, PATCH, stride=PATCH)
        self.token = ClassToken(width)
        self.positions = Positions(patches + 1, width)
        self.layers = nn.Sequential(*(Layer(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.dense = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:  # (n, 3, 224, 224)
        x = self.patches(x).flatten(2).transpose(1, 2)  # (n, 196, 768)
        x = self.positions(self.token(x))  # (n, 197, 768)
        x = self.norm(self.layers(x))
        return self.dense(x[:, 0])  # (n, 1000)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    height, width, channels = task.inputs["image"].shape
    patches = (height // PATCH) * (width // PATCH)
    return ViT(channels, patches, **task.settings, classes=task.targets["label"].count)
