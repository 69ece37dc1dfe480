"""Generation with a cache: proven against the model without one, and a place too far is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import frameworks
from benchmarks.__main__ import main
from benchmarks.frameworks import decisions
from benchmarks.frameworks.contracts import Source
from benchmarks.machine.environment import framework_status
from benchmarks.proof import compare
from benchmarks.proof.compare import TOLERANCE
from benchmarks.request import discovery
from benchmarks.results.records import Exit
from benchmarks.results.stored import codec
from benchmarks.tasks.task import Task
from tests.generating import CHANGES, shifted
from tests.pipeline import ROOT

ENGINES = (
    "torch",
    "tensorflow",
    pytest.param("jax", marks=pytest.mark.heavy),
    pytest.param("keras_torch", marks=pytest.mark.heavy),
)
STACKS = (
    "torch-eager", "torch-compile", "tensorflow-eager", "tensorflow-graph", "tensorflow-xla",
    "jax-xla", "keras_torch-eager", "keras_torch-compile",
)  # fmt: skip
LIMIT_S = 600.0
STEPS, VOCABULARY = 12, 7
TABLE = np.random.default_rng(3).normal(size=(VOCABULARY, STEPS, VOCABULARY))
"""What a token at a place adds to the logits of every place from there on."""


def whole(tokens: Any) -> Any:
    """Logits (n, steps, vocabulary) of a model that adds up what each token adds."""
    return TABLE[tokens.astype(int), np.arange(STEPS)].cumsum(1)


def first_token(model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The token after the first half, its sum kept by place."""
    del model
    first = STEPS // 2
    cache = np.zeros((2, STEPS, VOCABULARY))
    cache[:, :first] = TABLE[inputs["tokens"][:, :first], np.arange(first)]
    logits = cache.sum(1)
    return {
        "token": logits.argmax(-1), "logits": logits, "position": np.array(first), "cache": cache,
    }  # fmt: skip


def next_token(model: Any, held: Mapping[str, Any]) -> dict[str, Any]:
    """The token after the one held."""
    del model
    place, cache = int(held["position"]), held["cache"].copy()
    cache[:, place] = TABLE[held["token"], place]
    logits = cache[:, : place + 1].sum(1)
    return {
        "token": logits.argmax(-1), "logits": logits, "position": np.array(place + 1),
        "cache": cache,
    }  # fmt: skip


def generated(by: int = 0, **without: Any) -> dict[str, Any]:
    """What the model of sums generates, its tokens so many places behind where they belong."""
    given = {"first_token": first_token, "next_token": shifted(next_token, by)}
    source = Source(task=Task(inputs={}), make=lambda _: None, **{"generates": given, **without})
    tokens = np.random.default_rng(5).integers(0, VOCABULARY, (2, STEPS))
    return decisions.generated(
        source, None, {"tokens": tokens}, lambda one: np.array(one, np.float64), whole
    )


def test_tokens_and_logits_are_those_of_the_model_without_a_cache() -> None:
    found = generated()
    steps = STEPS // 2  # the sequence has no room for more
    names = ("token", "cached", "whole")
    assert list(found) == [
        *(f"{name}/{i}" for i in range(steps) for name in names[:2]),
        *(f"whole/{i}" for i in range(steps)),
    ]
    told = compare.compare(found, found, {})
    assert told.equal
    assert told.errors.keys() == {"generated_tokens", "generated_logits", compare.CACHE}
    for index in range(steps):
        assert (found[f"token/{index}"] == found[f"whole/{index}"].argmax(-1)).all()
    assert generated(generates={}) == {}


def test_a_place_too_far_is_found_even_where_both_twins_do_it() -> None:
    wrong = generated(1)
    told = compare.compare(wrong, wrong, {})
    assert not told.equal
    assert told.errors["generated_logits"] == 0
    assert told.errors[compare.CACHE] > TOLERANCE
    assert told.worst[compare.CACHE].startswith("cached/")
    assert compare.compare(wrong, generated(), {}).errors["generated_logits"] > TOLERANCE


def test_one_token_that_differs_is_no_rounding() -> None:
    right, other = generated(), generated()
    other["token/3"] = (other["token/3"] + 1) % VOCABULARY
    assert compare.compare(right, other, {}).errors["generated_tokens"] > TOLERANCE


def _skip_without(*names: str) -> None:
    for name in names:
        if missing := framework_status(frameworks.facts(name).packages):
            pytest.skip(missing)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_finds_a_token_of_gpt2_that_is_a_place_off(engine: str) -> None:
    _skip_without(engine)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.generating", engine],
        cwd=ROOT,
        env={**os.environ, **frameworks.facts(engine).env, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    errors = json.loads(done.stdout.splitlines()[-1])
    assert errors.keys() == CHANGES.keys()
    assert errors["right"] <= TOLERANCE
    assert errors["a place late"] > 1e-4
    assert errors["a place early"] > 1e-4


LATE = """
from benchmarks.models.sequences.gpt2_small import {dialect} as right

build, first_token = right.build, right.first_token


def next_token(model, held):
    made = right.next_token(model, dict(held, position=held["position"] + 1))
    return dict(made, position=held["position"] + 1)
"""


@pytest.mark.heavy
def test_a_proof_names_the_cache_where_both_twins_write_a_place_late(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _skip_without("torch", "tensorflow")
    folder = tmp_path / "models" / "late"
    folder.mkdir(parents=True)
    task = "from benchmarks.models.sequences.gpt2_small import TASK\n"
    (folder / "__init__.py").write_text(task)
    for dialect in ("torch", "keras"):
        (folder / f"{dialect}.py").write_text(LATE.format(dialect=dialect))
    words = ("--models", "late", "--models-dir", str(folder.parent), "--out", str(tmp_path / "out"))
    code = main(["verify", *words, "--stacks", "torch-eager,tensorflow-graph", "--json"])
    assert code == Exit.PARITY
    row, *_ = json.loads(capsys.readouterr().out)
    assert row["parity"]["status"] == "failed"
    assert row["parity"]["reason"].startswith("cached/")
    assert "look at the place in the cache" in row["parity"]["reason"]


@pytest.mark.heavy
def test_every_stack_generates_as_it_is_timed(tmp_path: Path) -> None:
    _skip_without("torch", "tensorflow", "jax")
    words = ("--models", "gpt2_small", "--phases", "first_token,next_token")
    budget = ("--stacks", ",".join(STACKS), "--launches", "1", "--out", str(tmp_path))
    assert main(["run", *words, *budget]) in {Exit.OK, Exit.INCOMPLETE}
    (path,) = tmp_path.glob("*/run.json")
    run = codec.decode_run(path.read_bytes())
    assert [r.matchup.phase for r in run.matchups] == ["first_token", "next_token"]
    for result in run.matchups:
        assert {c.stack: (c.status, c.reason) for c in result.cases} == dict.fromkeys(
            STACKS, ("ok", None)
        )


def test_the_shipped_twins_define_both_functions() -> None:
    assert all(discovery.defines("gpt2_small", name) for name in ("first_token", "next_token"))
    assert not discovery.defines("bert_base", "next_token")
