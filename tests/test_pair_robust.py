"""Pairs as people write them, of every usual kind of model: proven, or told where they part.

``tests/pairs/robust.tsv`` says of each pair what is right. Neither side is tuned to the other.
"""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.environment import framework_status
from benchmarks.proof import pair, prove
from benchmarks.proof.command import FLAGS, told
from benchmarks.proof.sides import Sides
from benchmarks.terminal import Parser

pytestmark = pytest.mark.slow

PAIRS = Path(__file__).parent / "pairs"
ENGINES = {"keras_torch": ("torch",), "jax": ("torch", "jax")}
"""Engines beside TensorFlow, and what must be installed for each of them."""
REPRESENTATIVE = ("unet", "bilstm", "text_transformer", "vit", "wrong_relu6")
"""Pairs that are proven, or not, on every engine."""


def _cases() -> dict[str, list[str]]:
    with (PAIRS / "robust.tsv").open(newline="") as lines:
        rows = csv.reader(lines, delimiter="\t")
        return {row[0]: row[1:] for row in rows if row and not row[0].startswith("#")}


CASES = _cases()


@pytest.fixture(scope="module")
def both() -> Iterator[Sides]:
    missing = framework_status(("torch", "tensorflow", "keras"))
    if missing:
        pytest.skip(missing)
    with pair.sides("tensorflow", 300.0) as found:
        yield found


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[tuple[str, Sides]]:
    name = str(request.param)
    missing = framework_status((*ENGINES[name], "keras"))
    if missing:
        pytest.skip(missing)
    with pair.sides(name, 300.0) as found:
        yield name, found


def _asked(name: str, engine: str = "tensorflow") -> prove.Asked:
    torch, keras, words, *_ = CASES[name]
    parser = Parser()
    for flag in ("--input", "--target", "--loss", "--optimizer"):
        parser.add_argument(flag, **FLAGS[flag])
    given = parser.parse_args(shlex.split(words))
    task = {
        "inputs": given.input,
        "targets": given.target or (),
        "loss": given.loss,
        "optimizer": given.optimizer,
    }
    return pair.Pair(torch=torch, keras=keras, task=task, engine=engine, folder=PAIRS).asked()


def _answered_rightly(proof: prove.Proof, name: str) -> None:
    *_, status, must = CASES[name]
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
