"""A Keras twin for the proof: what is told, loaded, traced and trained, over several models.

One process with Keras on TensorFlow runs ``_script`` and answers in JSON; none is imported here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.environment import framework_status

pytestmark = pytest.mark.slow

ENGINE = "tensorflow"
ROOT = Path(__file__).parents[1]
LIMIT_S = 300.0

Told = dict[str, Any]
Given = tuple[Any, tuple[str, ...], tuple[str, ...], dict[str, Any]]


@pytest.fixture(scope="module")
def told() -> Told:
    missing = framework_status((ENGINE, "keras"))
    if missing:
        pytest.skip(missing)
    done = subprocess.run(
        [sys.executable, "-m", "tests.test_frameworks_keras"],
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


def _models() -> dict[str, Given]:  # noqa: C901 - one list of small models
    """By name: what makes a model, the words for its inputs and targets, and more of its task."""
    import keras
    from keras import layers, ops

    def functional() -> Any:
        x = image = keras.Input((8, 8, 3))
        x = layers.ReLU()(layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, name="conv")(x)))
        x = layers.Flatten()(layers.MaxPooling2D(2)(x))
        return keras.Model(image, layers.Dense(5, name="head")(layers.Dropout(0.25)(x)))

    def nested() -> Any:
        inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv")])
        inner.name = "body"
        image = keras.Input((8, 8, 3))
        x = layers.GlobalAveragePooling2D()(inner(image))
        return keras.Model(image, layers.Dense(5, name="head")(x))

    class Encoder(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.norm = layers.LayerNormalization()
            self.fc1 = layers.Dense(4, activation="tanh")

        def call(self, x: Any) -> Any:
            return self.norm(self.fc1(x))

    class Attributes(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = Encoder()
            self.blocks = [layers.Dense(4), layers.Dense(2)]

        def call(self, x: Any) -> Any:
            x = self.encoder(x)
            for block in self.blocks:
                x = block(x)
            return x

    def shared() -> Any:
        x = keras.Input((4,))
        twice = layers.Dense(4, activation="tanh", name="twice")
        return keras.Model(x, twice(twice(x)))

    def two_inputs() -> Any:
        first, second = keras.Input((3,), name="b"), keras.Input((3,), name="a")
        left = layers.Dense(2, name="left")(first)
        return keras.Model([first, second], layers.Add()([left, layers.Dense(2)(second)]))

    class TwoArguments(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = layers.Dense(2), layers.Dense(2)

        def call(self, one: Any, other: Any) -> Any:
            return self.left(one) * self.right(other)

    def two_outputs() -> Any:
        x = keras.Input((3,))
        outputs = {"mean": layers.Dense(2)(x), "scale": layers.Dense(2)(x)}
        return keras.Model(x, outputs)

    class Scaled(layers.Layer):
        def build(self, shape: Any) -> None:
            self.factor = self.add_weight(shape=(shape[-1],), initializer="ones", name="factor")

        def call(self, x: Any) -> Any:
            return x * self.factor

    def own() -> Any:
        fixed = layers.Dense(4, name="fixed")
        model = keras.Sequential(
            [
                keras.Input((3,)),
                Scaled(name="scaled"),
                Scaled(name="frozen"),
                fixed,
                layers.Dense(2, name="last"),
            ]
        )
        fixed.trainable = False
        model.get_layer("frozen").trainable = False
        return model

    class Unused(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.spare, self.used = layers.Dense(2), layers.Dense(2)
            self.spare.build((None, 3))

        def call(self, x: Any) -> Any:
            return self.used(x)

    def recurrent() -> Any:
        return keras.Sequential(
            [
                keras.Input((7,), dtype="int32"),
                layers.Embedding(5, 3, name="embedding"),
                layers.Bidirectional(
                    layers.LSTM(4, return_sequences=True, name="lstm"), name="both"
                ),
                layers.LSTM(3, recurrent_dropout=0.2, name="lstm"),
                layers.Dense(5, name="head"),
            ]
        )

    def attention() -> Any:
        x = keras.Input((6, 4))
        y = layers.MultiHeadAttention(2, 3, dropout=0.1, name="attention")(x, x)
        return keras.Model(x, layers.Dense(5, name="head")(layers.GlobalAveragePooling1D()(y)))

    def distributed() -> Any:
        inner = layers.TimeDistributed(layers.Dense(2, name="inner"), name="steps")
        return keras.Sequential([keras.Input((6, 3)), inner, layers.GlobalAveragePooling1D()])

    def regularised() -> Any:
        l2 = {"kernel_regularizer": "l2", "activity_regularizer": "l2"}
        one = layers.Dense(4, name="hidden", **l2)
        return keras.Sequential([keras.Input((3,)), one, layers.Dense(2)])

    class Noisy(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x) + 0.0 * keras.random.normal((*ops.shape(x)[:1], 2))

    def gelu() -> Any:
        return keras.Sequential([keras.Input((3,)), layers.Dense(4, "gelu"), layers.Dense(2)])

    image, x3 = ("x=image:8x8x3",), ("x=features:3",)
    classes, two = ("y=classes:5",), ("y=values:2",)
    return {
        "functional": (functional, image, classes, {}),
        "nested": (nested, image, classes, {}),
        "attributes": (Attributes, x3, two, {}),
        "shared": (shared, ("x=features:4",), ("y=values:4",), {}),
        "two_inputs": (two_inputs, ("a=features:3", "b=features:3"), two, {}),
        "two_arguments": (TwoArguments, ("a=features:3", "b=features:4"), two, {}),
        "two_outputs": (two_outputs, x3, two, {"losses": (("mse", "mean"), ("mae", "scale"))}),
        "own": (own, x3, two, {}),
        "unused": (Unused, x3, two, {}),
        "recurrent": (recurrent, ("x=tokens:7:vocabulary=5",), classes, {"optimizer": "adam"}),
        "attention": (attention, ("x=features:6x4",), classes, {}),
        "distributed": (distributed, ("x=features:6x3",), two, {}),
        "regularised": (regularised, x3, two, {}),
        "noisy": (Noisy, x3, two, {}),
        "gelu": (gelu, x3, two, {}),
    }


def _told(make: Any, inputs: Any, targets: Any, more: dict[str, Any]) -> Told:
    """What one twin says and does, as plain data."""
    import dataclasses

    import numpy as np

    from benchmarks import frameworks
    from benchmarks.frameworks.contracts import Source
    from benchmarks.frameworks.description import Assigned
    from benchmarks.tasks import words
    from benchmarks.tasks.task import LossPart, draw

    task = words.task(inputs, targets, optimizer=more.get("optimizer", "sgd"))
    if "losses" in more:
        parts = tuple(LossPart(name, output, "y") for name, output in more["losses"])
        task = dataclasses.replace(task, loss=parts)
    source = Source(task=task, make=lambda _: make())
    twin = frameworks.part(ENGINE, "inspection").Twin(source, draw(task, 3, 1))
    described = twin.describe()
    rng = np.random.default_rng(2)
    assigned = tuple(
        Assigned(n.path, {w: f"{n.path}.{w}" for w in n.weights}) for n in described.nodes
    )
    values = {
        f"{n.path}.{name}": rng.uniform(0.1, 0.9, weight.shape)
        for n in described.nodes
        for name, weight in n.weights.items()
    }
    twin.load(assigned, values)
    round_trip = max(float(abs(twin.train(task.steps, 0)[k] - v).max()) for k, v in values.items())
    first, again = twin.trace(), twin.trace()
    after_trace = twin.train(task.steps, 0)

    def slope(key: str) -> float:
        """The relative error of the derivative along the key's own gradient."""
        known, far = first[f"gradient/{key}"], 1e-4
        along = known / max(float(np.linalg.norm(known)), 1e-30)
        losses = []
        for sign in (1, -1):
            twin.load(assigned, {**values, key: values[key] + sign * far * along})
            losses.append(float(twin.trace()["loss"]))
        measured, stated = (losses[0] - losses[1]) / (2 * far), float(np.linalg.norm(known))
        return abs(measured - stated) / max(stated, 1e-6)

    keys = [k.removeprefix("gradient/") for k in first if k.startswith("gradient/")]
    error = max(slope(key) for key in (keys[0], keys[-1]))
    twin.load(assigned, values)
    trained = twin.train(task.steps, 3)
    buffers = [
        f"{n.path}.{name}" for n in described.nodes for name, w in n.weights.items() if w.buffer
    ]
    return {
        "description": dataclasses.asdict(described),
        "keys": sorted(first),
        "alike": all(np.array_equal(first[k], again[k]) for k in first),
        "round_trip": round_trip,
        "slope_error": error,
        "unchanged": all(np.array_equal(after_trace[k], v) for k, v in values.items()),
        "moved": any(not np.array_equal(trained[k], v) for k, v in values.items()),
        "buffers_moved": [k for k in buffers if not np.array_equal(trained[k], values[k])],
        "findings": twin.findings,
    }


def _script() -> None:
    """Write what every model says to stdout, as one line of JSON."""
    from benchmarks import frameworks

    frameworks.part(ENGINE, "inspection").set_up(0)
    found = {}
    for name, given in _models().items():
        try:
            found[name] = _told(*given)
        except Exception as error:
            raise RuntimeError(name) from error
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    _script()
