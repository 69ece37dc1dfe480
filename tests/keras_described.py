"""Small Keras models, and what their twins say and do, as one line of JSON on stdout.

``python -m tests.keras_described`` runs on TensorFlow, for ``tests.test_frameworks_keras``.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from benchmarks import frameworks
from benchmarks.frameworks.contracts import Source
from benchmarks.frameworks.description import Arrays, Assigned, Description
from benchmarks.tasks import words
from benchmarks.tasks.task import LossPart, Task, draw

ENGINE = "tensorflow"
FAR = 1e-4
"""The step by which a loss is differentiated."""
Given = tuple[Any, tuple[str, ...], tuple[str, ...], dict[str, Any]]
"""What makes a model, the words for its inputs and targets, and more of its task."""


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
    """A layer that holds two more."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = layers.LayerNormalization()
        self.fc1 = layers.Dense(4, activation="tanh")

    def call(self, x: Any) -> Any:
        return self.norm(self.fc1(x))


class Attributes(keras.Model):
    """Layers in attributes and in a list."""

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
    """Two inputs, each an argument."""

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
    """A layer of no known kind with a weight of its own."""

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
    """A layer that is built and never called."""

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
            layers.Bidirectional(layers.LSTM(4, return_sequences=True, name="lstm"), name="both"),
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
    """Random numbers that nothing switches off."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.dense(x) + 0.0 * keras.random.normal((*ops.shape(x)[:1], 2))


def gelu() -> Any:
    return keras.Sequential([keras.Input((3,)), layers.Dense(4, "gelu"), layers.Dense(2)])


IMAGE, X3 = ("x=image:8x8x3",), ("x=features:3",)
CLASSES, TWO = ("y=classes:5",), ("y=values:2",)
MODELS: dict[str, Given] = {
    "functional": (functional, IMAGE, CLASSES, {}),
    "nested": (nested, IMAGE, CLASSES, {}),
    "attributes": (Attributes, X3, TWO, {}),
    "shared": (shared, ("x=features:4",), ("y=values:4",), {}),
    "two_inputs": (two_inputs, ("a=features:3", "b=features:3"), TWO, {}),
    "two_arguments": (TwoArguments, ("a=features:3", "b=features:4"), TWO, {}),
    "two_outputs": (two_outputs, X3, TWO, {"losses": (("mse", "mean"), ("mae", "scale"))}),
    "own": (own, X3, TWO, {}),
    "unused": (Unused, X3, TWO, {}),
    "recurrent": (recurrent, ("x=tokens:7:vocabulary=5",), CLASSES, {"optimizer": "adam"}),
    "attention": (attention, ("x=features:6x4",), CLASSES, {}),
    "distributed": (distributed, ("x=features:6x3",), TWO, {}),
    "regularised": (regularised, X3, TWO, {}),
    "noisy": (Noisy, X3, TWO, {}),
    "gelu": (gelu, X3, TWO, {}),
}


def _told(make: Any, inputs: Any, targets: Any, more: dict[str, Any]) -> dict[str, Any]:
    """What one twin says and does, as plain data."""
    task = _task(inputs, targets, more)
    source = Source(task=task, make=lambda _: make())
    twin = frameworks.part(ENGINE, "inspection").Twin(source, draw(task, 3, 1))
    described = twin.describe()
    assigned, values = _drawn(described)
    twin.load(assigned, values)
    kept = twin.train(task.steps, 0)
    first, again = twin.trace(), twin.trace()
    after_trace = twin.train(task.steps, 0)
    error = _slope_error(twin, assigned, values, first)
    twin.load(assigned, values)
    trained = twin.train(task.steps, 3)
    buffers = [
        f"{n.path}.{name}" for n in described.nodes for name, w in n.weights.items() if w.buffer
    ]
    return {
        "description": dataclasses.asdict(described),
        "keys": sorted(first),
        "alike": all(np.array_equal(first[k], again[k]) for k in first),
        "round_trip": max(float(abs(kept[k] - v).max()) for k, v in values.items()),
        "slope_error": error,
        "unchanged": all(np.array_equal(after_trace[k], v) for k, v in values.items()),
        "moved": any(not np.array_equal(trained[k], v) for k, v in values.items()),
        "buffers_moved": [k for k in buffers if not np.array_equal(trained[k], values[k])],
        "findings": twin.findings,
    }


def _task(inputs: Any, targets: Any, more: dict[str, Any]) -> Task:
    task = words.task(inputs, targets, optimizer=more.get("optimizer", "sgd"))
    if "losses" not in more:
        return task
    parts = tuple(LossPart(name, output, "y") for name, output in more["losses"])
    return dataclasses.replace(task, loss=parts)


def _drawn(described: Description) -> tuple[tuple[Assigned, ...], Arrays]:
    """Canonical keys that are the twin's own names, and values for them."""
    rng = np.random.default_rng(2)
    assigned = tuple(
        Assigned(n.path, {w: f"{n.path}.{w}" for w in n.weights}) for n in described.nodes
    )
    return assigned, {
        f"{n.path}.{name}": rng.uniform(0.1, 0.9, weight.shape)
        for n in described.nodes
        for name, weight in n.weights.items()
    }


def _slope_error(twin: Any, assigned: Any, values: Arrays, traced: Arrays) -> float:
    """The larger relative error of the derivatives along the first and the last gradient."""

    def error(key: str) -> float:
        known = traced[f"gradient/{key}"]
        along = known / max(float(np.linalg.norm(known)), 1e-30)
        losses = []
        for sign in (1, -1):
            twin.load(assigned, {**values, key: values[key] + sign * FAR * along})
            losses.append(float(twin.trace()["loss"]))
        measured, stated = (losses[0] - losses[1]) / (2 * FAR), float(np.linalg.norm(known))
        return abs(measured - stated) / max(stated, 1e-6)

    keys = [k.removeprefix("gradient/") for k in traced if k.startswith("gradient/")]
    return max(error(key) for key in (keys[0], keys[-1]))


def _script() -> None:
    found = {}
    for name, given in MODELS.items():
        try:
            found[name] = _told(*given)
        except Exception as error:
            raise RuntimeError(name) from error
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    frameworks.part(ENGINE, "inspection").set_up(0)
    _script()
