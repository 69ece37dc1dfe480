"""GPT-2 small in PyTorch, and how it generates: a cache of fixed size, written to in place."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad, scaled_dot_product_attention

from benchmarks.models._learned.torch import Positions
from benchmarks.models.sequences.gpt2_small import DROPOUT, EPSILON, POSITIONS
from benchmarks.tasks.task import Task

Cache = tuple[Tensor, Tensor]
"""Keys and values of one layer, each (n, heads, steps, width / heads)."""


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
        return self.added(x, y)

    def added(self, x: Tensor, y: Tensor) -> Tensor:
        """Add what attention gives, then what the dense layers make of the sum."""
        x = x + self.drop1(y)
        y = self.dense2(self.gelu(self.dense1(self.norm2(x))))
        return x + self.drop2(y)

    def prompt(self, x: Tensor, steps: int) -> tuple[Tensor, Cache]:
        """The first tokens of a sequence (n, first, width), and a cache of ``steps`` places."""
        query, key, value = self._projected(x)
        y = scaled_dot_product_attention(query, key, value, is_causal=True)
        room = (0, 0, 0, steps - x.shape[1])
        return self._ended(x, y), (pad(key, room), pad(value, room))

    def one(self, x: Tensor, place: Tensor, cache: Cache) -> Tensor:
        """One more token (n, 1, width) at a place (1,), whose key and value go into the cache."""
        query, key, value = self._projected(x)
        keys, values = cache
        keys.index_copy_(2, place, key)
        values.index_copy_(2, place, value)
        written = torch.arange(keys.shape[2], device=x.device) <= place
        y = scaled_dot_product_attention(query, keys, values, attn_mask=written[None])
        return self._ended(x, y)

    def _projected(self, x: Tensor) -> list[Tensor]:
        """Query, key and value, each (n, heads, tokens, width / heads)."""
        own = self.attention
        y = linear(self.norm1(x), own.in_proj_weight, own.in_proj_bias)
        return [one.unflatten(-1, (own.num_heads, -1)).transpose(1, 2) for one in y.chunk(3, -1)]

    def _ended(self, x: Tensor, y: Tensor) -> Tensor:
        return self.added(x, self.attention.out_proj(y.transpose(1, 2).flatten(2)))


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
        return linear(self.norm(x), self.tokens.weight)  # (n, 1024, 50257)


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return GPT2(task.inputs["tokens"].vocabulary, **task.settings)


def first_token(model: GPT2, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
    """The token after the first half of each sequence, and a cache that holds that half."""
    steps = inputs["tokens"].shape[1]
    prompt = inputs["tokens"][:, : steps // 2]
    x, cache = model.positions(model.tokens(prompt)), []
    for layer in model.layers:
        x, held = layer.prompt(x, steps)
        cache.append(held)
    return chosen(model, x, torch.full((1,), steps // 2, device=x.device), cache)


def next_token(model: GPT2, held: Mapping[str, Any]) -> dict[str, Any]:
    """The token after the one that is held, which goes into the cache."""
    place = held["position"]
    x = model.tokens(held["token"])[:, None] + model.positions.table[place]  # (n, 1, width)
    for layer, cache in zip(model.layers, held["cache"], strict=True):
        x = layer.one(x, place, cache)
    return chosen(model, x, place + 1, held["cache"])


def chosen(model: GPT2, x: Tensor, position: Tensor, cache: list[Cache]) -> dict[str, Any]:
    """The likeliest token to follow what was last computed (n, tokens, width)."""
    logits = linear(model.norm(x[:, -1]), model.tokens.weight)  # (n, vocabulary)
    return {"token": logits.argmax(-1), "logits": logits, "position": position, "cache": cache}
