"""A Keras twin for the proof: what is told, loaded, traced and trained, over several models.

One process with Keras on TensorFlow runs ``tests.keras_described`` and answers in JSON; none is
imported here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.frameworks._keras.weights import refuse_bomb
from benchmarks.machine.environment import framework_status

pytestmark = pytest.mark.slow

ENGINE = "tensorflow"
ROOT = Path(__file__).parents[1]
LIMIT_S = 300.0

Told = dict[str, Any]


@pytest.fixture(scope="module")
def told() -> Told:
    missing = framework_status((ENGINE, "keras"))
    if missing:
        pytest.skip(missing)
    done = subprocess.run(
        [sys.executable, "-m", "tests.keras_described"],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": ENGINE, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answer: Told = json.loads(done.stdout.splitlines()[-1])
    return answer


def _nodes(one: Told) -> dict[str, str]:
    return {node["path"]: node["kind"] for node in one["description"]["nodes"]}


def _node(one: Told, path: str) -> dict[str, Any]:
    return next(node for node in one["description"]["nodes"] if node["path"] == path)


def test_layers_of_a_functional_model_are_called_by_their_names(told: Told) -> None:
    one = told["functional"]
    assert _nodes(one) == {"conv": "Conv", "bn": "BatchNorm", "head": "Dense"}
    conv = _node(one, "conv")
    assert (conv["input"], conv["output"]) == ([8, 8, 3], [6, 6, 4])
    assert conv["weights"]["kernel"]["shape"] == [3, 3, 3, 4]
    assert conv["macs"] == 6 * 6 * 4 * 3 * 3 * 3
    assert _node(one, "bn")["weights"]["mean"]["buffer"]
    assert not _node(one, "bn")["weights"]["mean"]["trainable"]
    steps = [(step["name"], step["after"]) for step in one["description"]["steps"]]
    assert steps == [("relu", 2), ("maxpool", 2), ("flatten", 2)]
    assert _shapes(one) == {"output": [5]}


def test_a_layer_that_drops_is_told_with_its_rate_and_is_off_in_a_trace(told: Told) -> None:
    one = told["functional"]
    drops = one["description"]["drops"]
    assert [(d["what"], d["rate"], d["after"]) for d in drops] == [("dropout", 0.25, 2)]
    assert one["alike"], "two traces differ: something random is on"
    assert "drop/0" in one["keys"]


def test_gradients_are_those_of_what_is_trained_and_of_float_inputs(told: Told) -> None:
    keys = told["functional"]["keys"]
    assert {k for k in keys if "gradient/" in k} == {
        "gradient/conv.kernel",
        "gradient/conv.bias",
        "gradient/bn.gamma",
        "gradient/bn.beta",
        "gradient/head.kernel",
        "gradient/head.bias",
        "input_gradient/x",
    }
    assert {"loss", "loss/output.cross_entropy", "output/output"} <= set(keys)
    assert {"node/conv/in", "node/conv/out", "step/0/in", "step/0/out"} <= set(keys)


def test_what_is_loaded_comes_out_again_for_every_model(told: Told) -> None:
    assert {name: one["round_trip"] for name, one in told.items()} == dict.fromkeys(told, 0.0)


def test_gradients_agree_with_finite_differences_for_every_model(told: Told) -> None:
    apart = {name: one["slope_error"] for name, one in told.items()}
    assert {name: error for name, error in apart.items() if error > 1e-5} == {}


def test_a_trace_changes_nothing_and_training_does(told: Told) -> None:
    assert all(one["unchanged"] for one in told.values())
    assert all(one["moved"] for one in told.values())
    assert told["functional"]["buffers_moved"]


def test_nested_models_and_attributes_make_up_the_path(told: Told) -> None:
    assert list(_nodes(told["nested"])) == ["body/conv", "head"]
    assert list(_nodes(told["attributes"])) == [
        "encoder/fc1",
        "encoder/norm",
        "blocks/0",
        "blocks/1",
    ]


def test_a_shared_layer_is_one_node_called_twice(told: Told) -> None:
    one = told["shared"]
    assert list(_nodes(one)) == ["twice"]
    assert _node(one, "twice")["calls"] == 2
    assert _node(one, "twice")["macs"] == 2 * 4 * 4


def test_two_inputs_reach_the_model_by_name_whatever_their_order(told: Told) -> None:
    assert told["two_inputs"]["description"]["nodes"][0]["input"] == [3]
    assert {"input_gradient/b", "input_gradient/a"} <= set(told["two_inputs"]["keys"])
    assert list(_nodes(told["two_arguments"])) == ["left", "right"]
    assert _node(told["two_arguments"], "left")["input"] == [3]


def test_outputs_are_named_and_each_has_its_loss(told: Told) -> None:
    one = told["two_outputs"]
    assert _shapes(one) == {"mean": [2], "scale": [2]}
    assert {"loss/mean.mse", "loss/scale.mae", "output/mean"} <= set(one["keys"])


def test_own_weights_are_told_though_their_layer_is_unknown_or_frozen(told: Told) -> None:
    one = told["own"]
    assert _nodes(one) == {
        "scaled": "?Scaled",
        "frozen": "?Scaled",
        "fixed": "Dense",
        "last": "Dense",
    }
    assert _node(one, "scaled")["weights"]["factor"]["trainable"]
    assert not _node(one, "frozen")["weights"]["factor"]["trainable"]
    assert not _node(one, "fixed")["weights"]["kernel"]["trainable"]
    assert {k for k in one["keys"] if k.startswith("gradient/")} == {
        "gradient/scaled.factor",
        "gradient/last.kernel",
        "gradient/last.bias",
    }


def test_a_layer_that_is_never_called_comes_last(told: Told) -> None:
    nodes = told["unused"]["description"]["nodes"]
    assert [(node["path"], node["calls"]) for node in nodes] == [("used", 1), ("spare", 0)]
    assert not any("spare" in key for key in told["unused"]["keys"])


def test_cells_and_heads_inside_of_a_known_kind_are_passed_over(told: Told) -> None:
    assert _nodes(told["recurrent"]) == {
        "embedding": "Embedding",
        "both/forward_lstm": "LSTM",
        "both/backward_lstm": "LSTM",
        "lstm": "LSTM",
        "head": "Dense",
    }
    drops = [(d["what"], d["where"]) for d in told["recurrent"]["description"]["drops"]]
    assert drops == [("recurrent dropout", "lstm")]
    assert told["recurrent"]["alike"]
    assert _nodes(told["attention"]) == {"attention": "MultiHeadAttention", "head": "Dense"}
    assert [d["what"] for d in told["attention"]["description"]["drops"]] == ["attention dropout"]
    assert told["attention"]["alike"]


def test_a_layer_applied_to_every_step_is_called_once(told: Told) -> None:
    node = _node(told["distributed"], "steps/inner")
    assert (node["calls"], node["input"], node["output"]) == (1, [6, 3], [6, 2])


def test_regularisers_and_random_numbers_are_told(told: Told) -> None:
    assert told["regularised"]["description"]["regularisers"] == [
        "hidden: activity_regularizer",
        "hidden: kernel_regularizer",
    ]
    assert told["noisy"]["description"]["random"] == ["keras.random.normal"]
    assert told["functional"]["description"]["random"] == []


def test_findings_say_how_far_tensorflow_is_from_what_is_stated(told: Told) -> None:
    found = {f["name"]: f["error"] for f in told["recurrent"]["findings"]}
    assert list(found) == ["sparse_adam"]
    assert found["sparse_adam"] > 1e-6
    found = {f["name"]: f["error"] for f in told["gelu"]["findings"]}
    assert list(found) == ["gelu_tensorflow"]
    assert 1e-10 < found["gelu_tensorflow"] < 1e-7
    assert told["functional"]["findings"] == []


def _shapes(one: dict[str, Any]) -> dict[str, Any]:
    return {name: found["shape"] for name, found in one["description"]["outputs"].items()}


def _h5(path: Path, fill: Callable[[Any], object]) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        fill(file.create_group("layers/dense/vars"))
    return path


def test_a_bomb_of_weights_is_not_loaded(tmp_path: Path) -> None:
    many = (64 << 20,)  # of four bytes each
    for name, fill in {
        "packed": lambda to: to.create_dataset("0", many, "f4", compression="gzip", fillvalue=1.0),
        "never written": lambda to: to.create_dataset("0", many, "f4", chunks=(1 << 20,)),
    }.items():
        path = _h5(tmp_path / f"{name}.weights.h5", fill)
        assert path.stat().st_size < 1 << 20
        with pytest.raises(ValueError, match="it would unpack to 256 MiB"):
            refuse_bomb(path)
    sound = _h5(tmp_path / "x.weights.h5", lambda to: to.create_dataset("0", data=[1.0, 2.0]))
    refuse_bomb(sound)


def test_weights_that_lie_in_other_files_are_not_loaded(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    other = str(tmp_path / "other")

    def led(to: Any) -> None:
        to["0"] = h5py.ExternalLink(other, "/secret")

    def kept(to: Any) -> None:
        to.create_dataset("0", (4,), "f4", external=[(other, 0, 16)])

    for fill in (led, kept):
        with pytest.raises(ValueError, match="0 lies in another file"):
            refuse_bomb(_h5(tmp_path / "x.weights.h5", fill))
