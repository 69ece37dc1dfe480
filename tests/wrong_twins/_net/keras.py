"""The small net in Keras; every keyword is something that a wrong twin gets wrong."""

import math

import keras
from keras import layers

from benchmarks.tasks.task import Task
from tests.wrong_twins._net import EPSILON, MOMENTUM


def gelu(x: keras.KerasTensor) -> keras.KerasTensor:
    """The exact form, x Phi(x).

    TensorFlow's own rounds the square root of 2 to float32 whatever the precision, which is 4e-9
    off in float64: the proof refuses it, rightly, against any other framework's.
    """
    return 0.5 * x * (1.0 + keras.ops.erf(x / math.sqrt(2.0)))


def build(
    task: Task,
    *,
    same: bool = False,
    epsilon: float = EPSILON,
    momentum: float = MOMENTUM,
) -> keras.Model:
    """The model, its weights not yet set; ``same`` leaves the padding to Keras."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 8, 8, 3)
    x = inputs if same else layers.ZeroPadding2D(1)(inputs)
    padding = "same" if same else "valid"
    x = layers.Conv2D(8, 3, strides=2, padding=padding, name="conv")(x)  # (n, 4, 4, 8)
    x = layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name="bn")(x)
    x = layers.Activation(gelu, name="gelu")(x)
    x = layers.Flatten(name="flatten")(x)  # (n, 128)
    outputs = layers.Dense(task.targets["label"].count, name="dense")(x)  # (n, 10)
    return keras.Model(inputs, outputs)
