"""Seeded weights: the same everywhere, whatever else a model holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import registry, weights
from benchmarks.models._spec import LSTM, BatchNorm, Conv2D, Dense, Embedding, Layer

CONV = Conv2D(name="conv", inputs=3, filters=64, kernel=5, out=(4, 4))
NORM = BatchNorm(name="bn", channels=4096, scale=0.25)
TABLE = Embedding(name="embedding", vocabulary=500, units=16)
CELL = LSTM(name="lstm", inputs=16, units=32, steps=3)
HEAD = Dense(name="dense", inputs=800, units=40)
LAYERS: tuple[Layer, ...] = (CONV, NORM, TABLE, CELL, HEAD)


def test_every_parameter_and_buffer_has_its_canonical_name_and_shape() -> None:
    made = weights.generate(LAYERS, 0)
    assert {name: values.shape for name, values in made.items()} == {
        "conv.kernel": (5, 5, 3, 64),
        "conv.bias": (64,),
        "bn.gamma": (4096,),
        "bn.beta": (4096,),
        "bn.mean": (4096,),
        "bn.variance": (4096,),
        "embedding.table": (500, 16),
        "lstm.kernel": (16, 128),
        "lstm.recurrent_kernel": (32, 128),
        "lstm.bias": (128,),
        "dense.kernel": (800, 40),
        "dense.bias": (40,),
    }
    assert {values.dtype for values in made.values()} == {np.dtype("float64")}


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others() -> None:
    first, again, other = (weights.generate(LAYERS, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in first)


def test_the_values_are_fixed_for_ever() -> None:
    """Histories compare runs of different versions: the drawn numbers must not drift."""
    made = weights.generate([Dense(name="dense", inputs=2, units=2)], 0)
    assert made["dense.bias"] == pytest.approx([0.02260872, -0.07534854], abs=1e-8)
    assert weights.digest(made).startswith("6b57a695ec2bf1e4f25bd4c58a42998c")


@given(st.permutations(LAYERS), st.sets(st.sampled_from([la.name for la in LAYERS]), min_size=1))
def test_a_parameter_depends_on_its_name_alone(order: list[Layer], kept: set[str]) -> None:
    whole = weights.generate(LAYERS, 7)
    part = weights.generate([layer for layer in order if layer.name in kept], 7)
    assert {name.split(".")[0] for name in part} == kept
    assert all(np.array_equal(values, whole[name]) for name, values in part.items())


@pytest.mark.parametrize("model", ["mlp", "simple_cnn", "digits_cnn", "lstm"])
def test_the_values_survive_float32(model: str) -> None:
    made = weights.generate(registry.spec(model).layers, 0)
    for name, values in made.items():
        assert np.array_equal(values, values.astype(np.float32)), name
        assert np.isfinite(values).all(), name


def test_the_spread_is_that_of_he_and_nothing_starts_at_zero_or_one() -> None:
    made = weights.generate(LAYERS, 0)
    assert made["conv.kernel"].std() == pytest.approx((2 / 75) ** 0.5, rel=0.05)
    assert made["dense.kernel"].std() == pytest.approx((2 / 800) ** 0.5, rel=0.05)
    assert made["lstm.recurrent_kernel"].std() == pytest.approx(32**-0.5, rel=0.05)
    assert made["embedding.table"].std() == pytest.approx(1.0, rel=0.05)
    assert made["bn.gamma"].mean() == pytest.approx(0.25, rel=0.02)
    assert made["bn.variance"].min() >= 0.5
    assert made["bn.variance"].max() <= 1.5
    assert all((np.abs(values) > 0).all() for values in made.values())


@pytest.mark.parametrize("name", sorted(weights.generate(LAYERS, 0)))
def test_the_digest_changes_with_any_bit(name: str) -> None:
    made = weights.generate(LAYERS, 0)
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
