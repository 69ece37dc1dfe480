"""Wide and deep learning in Keras."""

import keras
from keras import layers, ops

from benchmarks.models.other.wide_and_deep import VECTOR, WIDTHS
from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    one = task.inputs["categories"]
    categories = keras.Input(one.shape, dtype="int32", name="categories")  # (n, 26)
    numbers = keras.Input(task.inputs["numbers"].shape, name="numbers")  # (n, 13)
    vectors = layers.Embedding(one.vocabulary, VECTOR, name="vectors")(categories)
    x = layers.Concatenate(name="concat")([layers.Flatten(name="flatten")(vectors), numbers])
    for at, width in enumerate(WIDTHS):
        x = layers.Dense(width, activation="relu", name=f"deep-{at}")(x)
    wide = ops.sum(layers.Embedding(one.vocabulary, 1, name="wide")(categories), axis=1)
    outputs = layers.Add(name="add")([wide, layers.Dense(1, name="last")(x)])  # (n, 1)
    return keras.Model({"categories": categories, "numbers": numbers}, outputs)
