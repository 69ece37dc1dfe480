"""Pairs of files as people write them: proven, or told where and why they part.

``tests/pairs/cases.tsv`` says of each pair what is right; one worker per side proves them all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.pair.command import told
from benchmarks.proof import group, outcome, prove
from benchmarks.proof.sides import Sides, UsageError
from benchmarks.request import plan
from benchmarks.request.selection import Selection
from benchmarks.tasks.task import TaskError
from tests.pairing import asked, cases, opened

pytestmark = pytest.mark.slow

SAID = {
    "tabular": "proven identical in float64",
    "tabular_defaults": "nn.BatchNorm1d(…, eps=0.001, momentum=0.01), or"
    " layers.BatchNormalization(epsilon=1e-05, momentum=0.9)",
    "tabular_cut": "gradients stop before fc3 on the PyTorch side",
    "norm_mlp": "finding: Keras' GELU on TensorFlow rounds the square root of 2",
    "norm_mlp_gelu": "GELU: erf against tanh",
    "norm_mlp_epsilon": "LayerNorm epsilon differ",
    "regression": "proven identical in float64",
    "regression_as_one_class": "every loss and gradient would be zero",
    "regression_l2": "the Keras twin adds 1 regulariser loss that the task does not state",
    "char": "finding: Keras' Adam on TensorFlow squares an embedding's sparse gradient",
    "char_place": "dropout: 0.2 behind the LSTM rnn against 0.2 inside the recurrence",
    "char_rate": "dropout rate 0.2 against 0.5",
    "cnn_nested": "proven identical in float64",
    "cnn_flat": "proven identical in float64",
    "cnn_grouped": "proven identical in float64",
    "cnn_softmax": "softmax before the loss on the Keras side",
}
"""What must be told of each pair."""
WRITTEN = {
    "norm_mlp_gelu": "keras.activations.gelu(x, approximate=False) behind layer_normalization",
    "char_place": "layers.Dropout(0.2) behind lstm, and no recurrent_dropout=0.2 in lstm",
    "char_rate": "layers.Dropout(0.2) behind lstm",
}
"""The line to write for some of them."""


CASES = cases("cases.tsv")
OWN = cases("own.tsv")
"""Honest pairs: two inputs, an own loss, branches, a tower, attention, own layers, tied weights."""
PLANTED = cases("planted.tsv")
"""Errors that people make, each with an honest control, and what must be told of it."""
ROBUST = cases("robust.tsv")
"""Every usual kind of model, neither side tuned to the other."""
ENGINES = ("keras_torch", "jax")
"""Engines beside TensorFlow."""
SMALL = ("small", "wrong_relu6")
"""Pairs of ``ROBUST`` that are proven, or not, on every engine."""
LARGE = ("unet", "bilstm", "text_transformer", "vit")
"""The same of many kinds of layers, which JAX compiles one by one."""


@pytest.fixture(scope="module")
def both() -> Iterator[Sides]:
    with opened() as found:
        yield found


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[tuple[str, Sides]]:
    with opened(request.param) as found:
        yield request.param, found


def test_every_pair_has_a_right_answer() -> None:
    assert CASES.keys() == SAID.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_pair_as_people_write_it_is_answered_rightly(both: Sides, name: str) -> None:
    torch, keras, words, status, _ = CASES[name]
    if status.startswith("refused (exit 2)"):
        with pytest.raises((UsageError, TaskError), match=SAID[name]):
            prove.proven(asked(torch, keras, words).asked(), both)
        return
    proof = prove.proven(asked(torch, keras, words).asked(), both)
    assert proof.status == status.partition(",")[0]
    assert SAID[name] in "\n".join(told(proof))
    assert (proof.reason is None) == (proof.status == "proven")
    if proof.status == "proven":
        assert max(proof.errors.values()) <= 1e-9
        assert {"output", "loss", "gradients", "after_steps_task", "after_steps_sgd"} <= (
            proof.errors.keys()
        )
        assert proof.parameters["torch"] == proof.parameters["tensorflow"] > 0
        assert proof.diagnosis == ()
    else:
        assert proof.diagnosis[0].where
        assert proof.diagnosis[0].cause
        assert proof.diagnosis[0].fix == WRITTEN.get(name, proof.diagnosis[0].fix) != ""


@pytest.mark.parametrize("name", OWN)
def test_own_pairs_are_proven(both: Sides, name: str) -> None:
    torch, keras, words, status, _ = OWN[name]
    proof = prove.proven(asked(torch, keras, words).asked(), both)
    assert (proof.status, proof.reason) == (status, None)
    assert max(proof.errors.values()) <= 1e-9
    assert proof.match.complete


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_error_is_named_and_its_honest_control_proven(both: Sides, name: str) -> None:
    torch, keras, words, status, must, *line = PLANTED[name]
    proof = prove.proven(asked(torch, keras, words).asked(), both)
    assert proof.status == status, proof.reason
    assert must in "\n".join(told(proof))
    assert line in ([], [proof.diagnosis[0].fix if proof.diagnosis else ""])


def _robust(name: str, engine: str = "tensorflow") -> outcome.Asked:
    torch, keras, words, *_ = ROBUST[name]
    return asked(torch, keras, words, engine=engine).asked()


def _answered_rightly(proof: outcome.Proof, name: str) -> None:
    *_, status, must, line = ROBUST[name]
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


def test_there_are_robust_pairs_and_wrong_ones() -> None:
    wrong = [name for name, case in ROBUST.items() if case[3] != "proven"]
    assert len(ROBUST) - len(wrong) >= 24
    assert len(wrong) >= 6
    assert all(ROBUST[name][4] for name in wrong)
    assert {*SMALL, *LARGE} <= ROBUST.keys()


@pytest.mark.parametrize("name", ROBUST)
def test_a_pair_of_any_usual_kind_is_answered_rightly(both: Sides, name: str) -> None:
    _answered_rightly(prove.proven(_robust(name), both), name)


@pytest.mark.parametrize(
    "name", [*SMALL, *(pytest.param(n, marks=pytest.mark.heavy) for n in LARGE)]
)
def test_an_engine_is_answered_rightly(engine: tuple[str, Sides], name: str) -> None:
    chosen, sides = engine
    _answered_rightly(prove.proven(_robust(name, chosen), sides), name)


def test_a_new_model_is_proven_as_it_stands(both: Sides, tmp_path: Path) -> None:
    assert main(["new", "mine", "--models-dir", str(tmp_path)]) == 0
    stacks = ("torch-eager", "tensorflow-graph")
    made = plan.make(Selection(models=("mine",), models_dir=tmp_path, stacks=stacks))
    proof = group.proven(made.groups[0], made.selection, both).parity
    assert (proof.status, proof.reason) == ("proven", None)


def test_constants_that_differ_can_be_made_equal(both: Sides) -> None:
    torch, keras, words, *_ = CASES["tabular_defaults"]
    proof = prove.proven(asked(torch, keras, words, equalize=True).asked(), both)
    assert proof.status == "proven"
    assert proof.equalized == (
        "bn1: epsilon 1e-05, momentum 0.9 set to epsilon 0.001, momentum 0.99",
        "bn2: epsilon 1e-05, momentum 0.9 set to epsilon 0.001, momentum 0.99",
    )


def test_the_document_names_match_parity_and_diagnosis(both: Sides) -> None:
    torch, keras, words, *_ = CASES["norm_mlp_gelu"]
    found = json.loads(
        json.dumps(
            prove.proven(asked(torch, keras, words).asked(), both).document(), allow_nan=False
        )
    )
    assert found["match"]["how"] == "3 of 3 layers by order"
    assert found["match"]["unmatched"] == {"torch": [], "keras": []}
    assert found["match"]["pairs"][0]["kind"] == "Dense"
    assert found["parity"]["status"] == "failed"
    assert found["diagnosis"][0]["cause"] == "GELU: erf against tanh"
    assert found["diagnosis"][0]["fix"] == WRITTEN["norm_mlp_gelu"]
    assert found["run"] is None


@pytest.mark.parametrize(
    ("torch", "keras", "words", "text"),
    [
        ("none.py:x", "cnn_keras.py:flat", "--input x=features:20", "there is no file none.py"),
        ("cnn_torch.py:Nett", "cnn_keras.py:flat", "--input x=features:20", "has no 'Nett'"),
        ("cnn_torch.py", "cnn_keras.py:flat", "--input x=features:20", "is not FILE.py:NAME"),
        (
            "cnn_torch.py:Net",
            "cnn_keras.py:flat",
            "--input x=image:16x16x3",
            "expected input[6, 3, 16, 16] to have 4 channels",
        ),
        (
            "norm_mlp_torch.py:model",
            "norm_mlp_keras.py:_model",
            "--input x=features:20",
            "needs epsilon, activation: write a function without arguments",
        ),
    ],
)
def test_what_the_user_must_mend_is_one_line(
    both: Sides, torch: str, keras: str, words: str, text: str
) -> None:
    wanted = asked(torch, keras, f"{words} --target y=classes:7")
    with pytest.raises(UsageError) as caught:
        prove.proven(wanted.asked(), both)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "name the inputs: --input NAME=KIND:SHAPE"),
        (["--prove-only", "--input", "x=features:2", "--batch", "-1"], "batch is -1"),
        (["--prove-only"], "name the inputs: --input NAME=KIND:SHAPE"),
        (["--prove-only", "--input", "x"], "--input 'x' is not NAME=KIND:"),
        (["--prove-only", "--input", "x=sound:3"], "--input x=sound:3: there are: image:32x32x3"),
        (["--prove-only", "--input", "x=features:a"], "x: 'a' is no shape"),
        (["--prove-only", "--input", "x=features:2"], "without a --target each file must define"),
        (
            ["--prove-only", "--input", "x=features:2", "--target", "y=classes:3", "--loss", "mse"],
            "--loss mse does not suit target y (classes)",
        ),
        (["--prove-only", "--input", "x=features:2", "--engine", "mxnet"], "unknown engine"),
    ],
)
def test_bad_flags_are_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], words: list[str], text: str
) -> None:
    assert main(["pair", "a.py:x", "b.py:y", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert text in line
