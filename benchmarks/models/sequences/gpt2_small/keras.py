"""GPT-2 small in Keras, and how it generates: a cache of fixed size, given anew with each token."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
from keras import KerasTensor, layers, ops

from benchmarks.models._learned.keras import Positions
from benchmarks.models.sequences.gpt2_small import DROPOUT, EPSILON, POSITIONS
from benchmarks.tasks.task import Task

Cache = tuple[Any, Any]
"""Keys and values of one layer, each (n, steps, heads, width / heads)."""


def norm(x: KerasTensor, *, name: str) -> KerasTensor:
    """Layer normalisation with the epsilon that both twins use."""
    return layers.LayerNormalization(epsilon=EPSILON, name=name)(x)


def layer(x: KerasTensor, width: int, heads: int, *, name: str) -> KerasTensor:
    """Causal attention and two dense layers, each behind a normalisation, added to its input."""
    attention = layers.MultiHeadAttention(
        heads, width // heads, dropout=DROPOUT, name=f"{name}-attention"
    )
    y = norm(x, name=f"{name}-norm1")
    y = attention(y, y, use_causal_mask=True)
    y = layers.Dropout(DROPOUT, name=f"{name}-drop1")(y)
    x = layers.Add(name=f"{name}-add1")([x, y])
    y = layers.Dense(4 * width, name=f"{name}-dense1")(norm(x, name=f"{name}-norm2"))
    y = layers.Dense(width, name=f"{name}-dense2")(keras.activations.gelu(y, approximate=True))
    y = layers.Dropout(DROPOUT, name=f"{name}-drop2")(y)
    return layers.Add(name=f"{name}-add2")([x, y])


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    one, width, heads = task.inputs["tokens"], task.settings["width"], task.settings["heads"]
    inputs = keras.Input(one.shape, dtype="int32")  # (n, 1024) token ids
    table = layers.ReversibleEmbedding(one.vocabulary, width, name="tokens")
    x = Positions(POSITIONS, name="positions")(table(inputs))  # (n, 1024, 768)
    x = layers.Dropout(DROPOUT, name="drop")(x)
    for at in range(task.settings["layers"]):
        x = layer(x, width, heads, name=f"layers-{at}")
    outputs = table(norm(x, name="norm"), reverse=True)  # (n, 1024, 50257)
    return keras.Model(inputs, outputs)


def first_token(model: keras.Model, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The token after the first half of each sequence, and a cache that holds that half."""
    steps = inputs["tokens"].shape[1]
    first = steps // 2
    room = [[0, 0], [0, steps - first], [0, 0], [0, 0]]
    x = model.get_layer("tokens")(inputs["tokens"][:, :first])
    x, cache = model.get_layer("positions")(x), []
    for name in names(model):
        query, key, value = projected(model, x, name)
        y = attended(query, key, value, is_causal=True)
        x = ended(model, x, y, name)
        cache.append((ops.pad(key, room), ops.pad(value, room)))
    return chosen(model, x, ops.convert_to_tensor(first, "int32"), cache)


def next_token(model: keras.Model, held: Mapping[str, Any]) -> dict[str, Any]:
    """The token after the one that is held, and the cache with that one in it."""
    place = held["position"]
    x = model.get_layer("tokens")(held["token"])
    own = ops.take(model.get_layer("positions").table, place, axis=0)
    x, cache = ops.expand_dims(x + ops.cast(own, x.dtype), 1), []  # (n, 1, width)
    none = ops.zeros_like(place)
    for name, before in zip(names(model), held["cache"], strict=True):
        query, *new = projected(model, x, name)
        both = zip(before, new, strict=True)
        keys, values = (ops.slice_update(old, (none, place, none, none), one) for old, one in both)
        written = ops.arange(keys.shape[1], dtype="int32") <= place
        y = attended(query, keys, values, mask=written[None, None, None])
        x = ended(model, x, y, name)
        cache.append((keys, values))
    return chosen(model, x, place + 1, cache)


def names(model: keras.Model) -> Iterator[str]:
    """What the names of each layer's parts begin with, in order."""
    end = "-attention"
    yield from (one.name.removesuffix(end) for one in model.layers if one.name.endswith(end))


def projected(model: keras.Model, x: Any, name: str) -> tuple[Any, Any, Any]:
    """Query, key and value, each (n, tokens, heads, width / heads)."""
    own, y = model.get_layer(f"{name}-attention"), model.get_layer(f"{name}-norm1")(x)
    return own.query_dense(y), own.key_dense(y), own.value_dense(y)


def attended(query: Any, key: Any, value: Any, **masked: Any) -> Any:
    """Attention (n, tokens, heads, width / heads), in the form that the engine fuses."""
    # As an argument, Keras on TensorFlow rounds the scale to float32, whatever it scales.
    query = query * query.shape[-1] ** -0.5
    return ops.dot_product_attention(query, key, value, scale=1.0, **masked)


def ended(model: keras.Model, x: Any, y: Any, name: str) -> Any:
    """Add what attention gives, then what the dense layers make of the sum."""
    x = x + model.get_layer(f"{name}-attention").output_dense(y)
    y = model.get_layer(f"{name}-dense1")(model.get_layer(f"{name}-norm2")(x))
    return x + model.get_layer(f"{name}-dense2")(keras.activations.gelu(y, approximate=True))


def chosen(model: keras.Model, x: Any, position: Any, cache: list[Cache]) -> dict[str, Any]:
    """The likeliest token to follow what was last computed (n, tokens, width)."""
    last = model.get_layer("norm")(x[:, -1])
    logits = model.get_layer("tokens")(last, reverse=True)  # (n, vocabulary)
    token = ops.argmax(logits, axis=-1)
    return {"token": token, "logits": logits, "position": position, "cache": cache}
