"""The base transformer in PyTorch."""

import math

import torch
from torch import Tensor, nn

from benchmarks.models.sequences.transformer_base import DROPOUT, EPSILON, waves
from benchmarks.tasks.task import Task


class Part(nn.Module):
    """What an encoder's and a decoder's layer are made of: each adds to its input, normalised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.drop = nn.Dropout(DROPOUT)
        self.norm = nn.LayerNorm(width, eps=EPSILON)


class Attention(Part):
    """Attention of one sequence to another, or to the steps of its own that came before."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width)
        self.heads = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: Tensor, to: Tensor, later: Tensor | None = None) -> Tensor:
        y, _ = self.heads(
            x, to, to, need_weights=False, attn_mask=later, is_causal=later is not None
        )
        return self.norm(x + self.drop(y))


class FeedForward(Part):
    """Two dense layers."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.dense1 = nn.Linear(width, 4 * width)
        self.dense2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:  # (n, steps, width)
        y = self.dense2(self.dense1(x).relu())
        return self.norm(x + self.drop(y))


class Encoding(nn.Module):
    """A layer of the encoder."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.own = Attention(width, heads)
        self.forward_ = FeedForward(width)

    def forward(self, x: Tensor) -> Tensor:  # (n, steps, width)
        return self.forward_(self.own(x, x))


class Decoding(nn.Module):
    """A layer of the decoder."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.own = Attention(width, heads)
        self.other = Attention(width, heads)
        self.forward_ = FeedForward(width)

    def forward(self, x: Tensor, encoded: Tensor, later: Tensor) -> Tensor:
        return self.forward_(self.other(self.own(x, x, later), encoded))


class Transformer(nn.Module):
    """One table of pieces, an encoder, a decoder, and the table again."""

    waves: Tensor

    def __init__(self, pieces: int, steps: int, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.table = nn.Embedding(pieces, width)
        self.register_buffer("waves", torch.from_numpy(waves(steps, width)), persistent=False)
        self.drop = nn.Dropout(DROPOUT)
        self.encoder = nn.ModuleList(Encoding(width, heads) for _ in range(layers))
        self.decoder = nn.ModuleList(Decoding(width, heads) for _ in range(layers))

    def embedded(self, x: Tensor) -> Tensor:
        """Vectors (n, steps, width) of pieces (n, steps) and their positions."""
        made = self.table(x) * math.sqrt(self.table.embedding_dim)
        return self.drop(made + self.waves[: x.shape[1]].to(made.dtype))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:  # each (n, 128) ids
        x = self.embedded(source)  # (n, 128, 512)
        for encoding in self.encoder:
            x = encoding(x)
        steps = target.shape[1]
        later = torch.ones(steps, steps, dtype=torch.bool, device=target.device).triu(1)
        y = self.embedded(target)
        for decoding in self.decoder:
            y = decoding(y, x, later)
        return nn.functional.linear(y, self.table.weight)  # (n, 128, 37000)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    source, target = task.inputs["source"], task.inputs["target"]
    steps = max(source.shape[0], target.shape[0])
    return Transformer(source.vocabulary, steps, **task.settings)
