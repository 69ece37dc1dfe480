"""The graph convolutional network in Keras."""

import keras
from keras import layers, ops

from benchmarks.models.other.gcn import WIDTH
from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    nodes = keras.Input(task.inputs["nodes"].shape, name="nodes")  # (n, nodes, 1433)
    adjacency = keras.Input(task.inputs["adjacency"].shape, name="adjacency")  # (n, nodes, nodes)
    scale = adjacency.shape[-1] ** -0.5
    x = layers.Dropout(0.5, name="drop1")(nodes)
    x = layers.Dense(WIDTH, use_bias=False, name="dense1")(x)
    x = layers.ReLU(name="relu")(ops.matmul(adjacency, x * scale))  # (n, nodes, 16)
    x = layers.Dropout(0.5, name="drop2")(x)
    x = layers.Dense(task.targets["label"].count, use_bias=False, name="dense2")(x)
    outputs = ops.matmul(adjacency, x * scale)  # (n, nodes, 7)
    return keras.Model({"nodes": nodes, "adjacency": adjacency}, outputs)
