"""The variational autoencoder in Keras."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers, ops

from benchmarks.models.generative.vae import CODE, WIDTH
from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    features = keras.Input(task.inputs["features"].shape, name="features")  # (n, 784)
    noise = keras.Input(task.inputs["noise"].shape, name="noise")  # (n, 20)
    x = layers.Dense(WIDTH, activation="relu", name="dense1")(features)  # (n, 400)
    mean = layers.Dense(CODE, name="mean")(x)  # (n, 20)
    log_variance = layers.Dense(CODE, name="log_variance")(x)
    code = mean + noise * ops.exp(0.5 * log_variance)
    x = layers.Dense(WIDTH, activation="relu", name="dense2")(code)
    logits = layers.Dense(features.shape[-1], name="dense3")(x)  # (n, 784)
    return keras.Model(
        {"features": features, "noise": noise},
        {"logits": logits, "mean": mean, "log_variance": log_variance},
    )


def loss(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> dict[str, Any]:
    """Cross-entropy of the pixels, and the divergence of the code from a standard normal one.

    Both are given for a pixel: means over samples and pixels, of which the divergence has one sum.
    """
    logits = outputs["logits"]
    same = ops.cast(targets["same"], logits.dtype)
    mean, log_variance = outputs["mean"], outputs["log_variance"]
    divergence = -0.5 * ops.sum(1 + log_variance - mean**2 - ops.exp(log_variance), axis=-1)
    return {
        "reconstruction": ops.mean(ops.binary_crossentropy(same, logits, from_logits=True)),
        "divergence": ops.mean(divergence) / same.shape[-1],
    }
