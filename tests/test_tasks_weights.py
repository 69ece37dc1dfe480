"""Seeded weights: the same everywhere, whatever else a model holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tasks import weights

Keys = dict[str, dict[str, Any]]


def _key(kind: str, *shape: int, start: tuple[float, float] = (0.0, 0.1)) -> dict[str, Any]:
    return {"shape": shape, "kind": kind, "start": start}


def _keys(layers: dict[str, dict[str, dict[str, Any]]]) -> Keys:
    return {
        f"{layer}.{name}": {"name": name, **one}
        for layer, held in layers.items()
        for name, one in held.items()
    }


LAYERS = {
    "conv": {"kernel": _key("Conv", 5, 5, 3, 64), "bias": _key("Conv", 64)},
    "bn": {
        "gamma": _key("BatchNorm", 4096, start=(0.25, 0.0)),
        "beta": _key("BatchNorm", 4096, start=(0.0, 0.0)),
        "mean": _key("BatchNorm", 4096, start=(0.0, 0.0)),
        "variance": _key("BatchNorm", 4096, start=(1.0, 0.0)),
    },
    "embedding": {"table": _key("Embedding", 500, 16)},
    "lstm": {
        "kernel": _key("LSTM", 16, 128),
        "recurrent_kernel": _key("LSTM", 32, 128),
        "bias": _key("LSTM", 128),
    },
    "gru": {"recurrent_bias": _key("GRU", 96)},
    "heads": {"query_kernel": _key("MultiHeadAttention", 64, 64)},
    "dense": {"kernel": _key("Dense", 800, 40), "bias": _key("Dense", 40)},
    "mine": {
        "centres": _key("?Mine", 64, 80, start=(0.0, 0.5)),
        "temperature": _key("?Mine", start=(2.0, 0.0)),
        "offset": _key("?Mine", 4096, start=(0.0, 0.0)),
        "spread": _key("?Mine", 4096, start=(3.0, 0.5)),
    },
}
KEYS = _keys(LAYERS)


def test_every_key_has_its_shape() -> None:
    made = weights.generate(KEYS, 0)
    assert {name: values.shape for name, values in made.items()} == {
        name: one["shape"] for name, one in KEYS.items()
    }
    assert {values.dtype for values in made.values()} == {np.dtype("float64")}


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    first, again, other = (weights.generate(KEYS, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in first)


def test_the_values_are_fixed_for_ever() -> None:
    """Histories compare runs of different versions: the drawn numbers must not drift."""
    dense = {"kernel": _key("Dense", 2, 2), "bias": _key("Dense", 2)}
    made = weights.generate(_keys({"dense": dense}), 0)
    assert made["dense.bias"] == pytest.approx([0.02260872, -0.07534854], abs=1e-8)
    assert weights.digest(made).startswith("6b57a695ec2bf1e4f25bd4c58a42998c")


@given(st.permutations(list(LAYERS)), st.sets(st.sampled_from(list(LAYERS)), min_size=1))
def test_a_weight_depends_on_its_key_alone(order: list[str], kept: set[str]) -> None:
    whole = weights.generate(KEYS, 7)
    part = weights.generate(_keys({name: LAYERS[name] for name in order if name in kept}), 7)
    assert {name.split(".")[0] for name in part} == kept
    assert all(np.array_equal(values, whole[name]) for name, values in part.items())


def test_weights_that_could_be_mistaken_for_one_another_may_be_drawn_alike() -> None:
    """By kind, name and shape: only what feeds two such layers can then tell them apart."""
    twins = dict.fromkeys(("one", "other"), LAYERS["dense"])
    keys = _keys(twins | {"long": {"bias": _key("Dense", 41)}, "conv": {"bias": _key("Conv", 40)}})
    alike = weights.generate(keys, 0, alike=True)
    assert np.array_equal(alike["one.kernel"], alike["other.kernel"])
    assert np.array_equal(alike["one.bias"], alike["other.bias"])
    assert not np.array_equal(alike["one.bias"], alike["conv.bias"])
    assert not np.array_equal(alike["one.bias"], alike["long.bias"][:40])
    apart = weights.generate(keys, 0)
    assert not np.array_equal(apart["one.kernel"], apart["other.kernel"])


def test_the_values_survive_float32() -> None:
    for name, values in weights.generate(KEYS, 0).items():
        assert np.array_equal(values, values.astype(np.float32)), name
        assert np.isfinite(values).all(), name


def test_the_spread_is_that_of_he_and_nothing_starts_at_zero_or_one() -> None:
    made = weights.generate(KEYS, 0)
    assert made["conv.kernel"].std() == pytest.approx((2 / 75) ** 0.5, rel=0.05)
    assert made["dense.kernel"].std() == pytest.approx((2 / 800) ** 0.5, rel=0.05)
    assert made["heads.query_kernel"].std() == pytest.approx((2 / 64) ** 0.5, rel=0.05)
    assert made["lstm.recurrent_kernel"].std() == pytest.approx(32**-0.5, rel=0.05)
    assert made["embedding.table"].std() == pytest.approx(1.0, rel=0.05)
    assert made["bn.gamma"].mean() == pytest.approx(0.25, rel=0.02)
    assert made["bn.variance"].min() >= 0.5
    assert made["bn.variance"].max() <= 1.5
    assert made["gru.recurrent_bias"].std() == pytest.approx(0.1, rel=0.2)
    assert all((np.abs(values) > 0).all() for values in made.values())


def test_weights_of_an_own_layer_are_drawn_about_where_they_started() -> None:
    made = weights.generate(KEYS, 0)
    assert made["mine.centres"].std() == pytest.approx(64**-0.5, rel=0.05)
    assert float(made["mine.temperature"]) == pytest.approx(2.0, rel=0.5)
    assert float(made["mine.temperature"]) != 2.0
    assert made["mine.offset"].std() == pytest.approx(0.1, rel=0.05)
    assert made["mine.spread"].mean() == pytest.approx(3.0, rel=0.02)
    assert made["mine.spread"].std() == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("name", sorted(KEYS))
def test_the_digest_changes_with_any_bit(name: str) -> None:
    made = weights.generate(KEYS, 0)
    before = weights.digest(made)
    bits = made[name].reshape(-1).view(np.uint64)
    for place in (0, len(bits) - 1):
        bits[place] ^= np.uint64(1)
        assert weights.digest(made) != before
        bits[place] ^= np.uint64(1)
    assert weights.digest(made) == before


def test_the_digest_knows_names_and_shapes_but_no_order() -> None:
    values = np.arange(6.0)
    one = {"a": values, "b": values.reshape(2, 3)}
    assert weights.digest(one) == weights.digest(dict(reversed(one.items())))
    assert weights.digest(one) != weights.digest({"a": values, "c": values.reshape(2, 3)})
    assert weights.digest(one) != weights.digest({"a": values, "b": values.reshape(3, 2)})
    assert weights.digest(one) == weights.digest(
        {"a": values, "b": values.reshape(3, 2).T.T.reshape(2, 3)}
    )
