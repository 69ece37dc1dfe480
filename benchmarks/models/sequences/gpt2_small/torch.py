"""GPT-2 small in PyTorch."""

import torch
from torch import Tensor, nn

from benchmarks.models._learned.torch import Positions
from benchmarks.models.sequences.gpt2_small import DROPOUT, EPSILON, POSITIONS
from benchmarks.tasks.task import Task


class Layer(nn.Module):
    """Causal attention and two dense layers, each behind a normalisation, added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attention = nn.MultiheadAttention(width, heads, dropout=DROPOUT, batch_first=True)
        self.drop1 = nn.Dropout(DROPOUT)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.dense1 = nn.Linear(width, 4 * width)
        self.gelu = nn.GELU(approximate="tanh")
        self.dense2 = nn.Linear(4 * width, width)
        self.drop2 = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor, later: Tensor) -> Tensor:  # (n, steps, width), (steps, steps)
        y = self.norm1(x)
        # The flag stands for the mask, which nn.MultiheadAttention asks for and then leaves out.
        y, _ = self.attention(y, y, y, need_weights=False, attn_mask=later, is_causal=True)
        x = x + self.drop1(y)
        y = self.dense2(self.gelu(self.dense1(self.norm2(x))))
        return x + self.drop2(y)


class GPT2(nn.Module):
    """Embeddings of tokens and positions, layers of attention, and the token table again."""

    def __init__(self, vocabulary: int, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = Positions(POSITIONS, width)
        self.drop = nn.Dropout(DROPOUT)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:  # (n, 1024) token ids
        steps = x.shape[1]
        later = torch.ones(steps, steps, dtype=torch.bool, device=x.device).triu(1)
        x = self.drop(self.positions(self.tokens(x)))  # (n, 1024, 768)
        for layer in self.layers:
            x = layer(x, later)
        return nn.functional.linear(self.norm(x), self.tokens.weight)  # (n, 1024, 50257)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return GPT2(task.inputs["tokens"].vocabulary, **task.settings)
