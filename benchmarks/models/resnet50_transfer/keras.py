"""The frozen ResNet-50 with a new head in Keras."""

import keras
from keras import layers

from benchmarks.models._resnet.keras import body
from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set; frozen normalisation runs on its running statistics."""
    inputs = keras.Input(task.inputs["image"].shape)  # (n, 224, 224, 3)
    features = body(inputs)  # (n, 7, 7, 2048)
    for layer in keras.Model(inputs, features).layers:
        layer.trainable = False
    x = layers.GlobalAveragePooling2D(name="pool2")(features)  # (n, 2048)
    x = layers.Dense(256, name="head1")(x)  # (n, 256)
    x = layers.ReLU(name="head_relu")(x)
    outputs = layers.Dense(task.targets["label"].count, name="head2")(x)  # (n, 10)
    return keras.Model(inputs, outputs)
