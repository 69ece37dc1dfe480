"""BERT-base in PyTorch."""

from torch import Tensor, nn

from benchmarks.models._learned.torch import Positions
from benchmarks.models.sequences.bert_base import DROPOUT, EPSILON, POSITIONS
from benchmarks.tasks.task import Task


class Layer(nn.Module):
    """Attention and two dense layers, each added to its input and normalised behind that."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout=DROPOUT, batch_first=True)
        self.drop1 = nn.Dropout(DROPOUT)
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.dense1 = nn.Linear(width, 4 * width)
        self.gelu = nn.GELU()
        self.dense2 = nn.Linear(4 * width, width)
        self.drop2 = nn.Dropout(DROPOUT)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:  # (n, steps, width), (n, steps)
        y, _ = self.attention(x, x, x, key_padding_mask=hidden, need_weights=False)
        x = self.norm1(x + self.drop1(y))
        y = self.dense2(self.gelu(self.dense1(x)))
        return self.norm2(x + self.drop2(y))


class BERT(nn.Module):
    """Three embeddings, layers of attention, and two dense layers on the first token."""

    def __init__(
        self, vocabulary: int, segments: int, layers: int, width: int, heads: int, classes: int
    ) -> None:
        super().__init__()
        self.tokens_table = nn.Embedding(vocabulary, width)
        self.segments_table = nn.Embedding(segments, width)
        self.positions = Positions(POSITIONS, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.drop1 = nn.Dropout(DROPOUT)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.pooler = nn.Linear(width, width)
        self.drop2 = nn.Dropout(DROPOUT)
        self.dense = nn.Linear(width, classes)

    def forward(self, tokens: Tensor, segments: Tensor, mask: Tensor) -> Tensor:  # each (n, 128)
        x = self.tokens_table(tokens) + self.segments_table(segments)  # (n, 128, 768)
        x = self.positions(x)
        x = self.drop1(self.norm(x))
        hidden = ~mask  # PyTorch marks the positions to leave out
        for layer in self.layers:
            x = layer(x, hidden)
        first = self.pooler(x[:, 0]).tanh()  # (n, 768)
        return self.dense(self.drop2(first))  # (n, 2)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    vocabulary, segments = (task.inputs[name].vocabulary for name in ("tokens", "segments"))
    return BERT(vocabulary, segments, **task.settings, classes=task.targets["label"].count)
