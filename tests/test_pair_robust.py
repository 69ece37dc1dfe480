"""Pairs as people write them, of every usual kind of model: proven, or told where they part.

``tests/pairs/robust.tsv`` says of each pair what is right. Neither side is tuned to the other.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.pair.command import told
from benchmarks.proof import outcome, prove
from benchmarks.proof.sides import Sides
from tests.pairing import asked, cases, opened

pytestmark = pytest.mark.slow

ENGINES = ("keras_torch", "jax")
"""Engines beside TensorFlow."""
REPRESENTATIVE = ("unet", "bilstm", "text_transformer", "vit", "wrong_relu6")
"""Pairs that are proven, or not, on every engine."""


CASES = cases("robust.tsv")


@pytest.fixture(scope="module")
def both() -> Iterator[Sides]:
    with opened() as found:
        yield found


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[tuple[str, Sides]]:
    with opened(request.param) as found:
        yield request.param, found


def _asked(name: str, engine: str = "tensorflow") -> outcome.Asked:
    torch, keras, words, *_ = CASES[name]
    return asked(torch, keras, words, engine=engine).asked()


def _answered_rightly(proof: outcome.Proof, name: str) -> None:
    *_, status, must, line = CASES[name]
    assert proof.status == status, "\n".join(told(proof))
    assert must in "\n".join(told(proof))
    assert (proof.reason is None) == (status == "proven")
    if status == "proven":
        assert max(proof.errors.values()) <= 1e-9
        assert {"output", "loss"} <= proof.errors.keys()
        assert proof.match.complete
        assert proof.diagnosis == ()
    else:
        assert proof.diagnosis[0].where
        assert proof.diagnosis[0].cause
        assert proof.diagnosis[0].fix == line


def test_there_are_honest_pairs_and_wrong_ones() -> None:
    wrong = [name for name, case in CASES.items() if case[3] != "proven"]
    assert len(CASES) - len(wrong) >= 24
    assert len(wrong) >= 6
    assert all(CASES[name][4] for name in wrong)
    assert set(REPRESENTATIVE) <= CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_pair_is_answered_rightly(both: Sides, name: str) -> None:
    _answered_rightly(prove.proven(_asked(name), both), name)


@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_an_engine_is_answered_rightly(engine: tuple[str, Sides], name: str) -> None:
    chosen, sides = engine
    _answered_rightly(prove.proven(_asked(name, chosen), sides), name)
