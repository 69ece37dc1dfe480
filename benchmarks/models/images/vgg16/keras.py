"""VGG-16 in Keras."""

import keras
from keras import layers

from benchmarks.models.images.vgg16 import STAGES
from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set."""
    width, dense = task.settings["width"], task.settings["dense"]
    x = inputs = keras.Input(task.inputs["image"].shape)  # (n, 224, 224, 3)
    for stage, (convolutions, multiple) in enumerate(STAGES):
        for at in range(convolutions):
            x = layers.Conv2D(
                multiple * width, 3, padding="same", activation="relu", name=f"stages-{stage}-{at}"
            )(x)
        x = layers.MaxPooling2D(2, name=f"pool{stage}")(x)  # at last (n, 7, 7, 512)
    x = layers.Flatten(name="flatten")(x)  # (n, 25088)
    x = layers.Dense(dense, activation="relu", name="dense1")(x)  # (n, 4096)
    x = layers.Dropout(0.5, name="drop1")(x)
    x = layers.Dense(dense, activation="relu", name="dense2")(x)  # (n, 4096)
    x = layers.Dropout(0.5, name="drop2")(x)
    outputs = layers.Dense(task.targets["label"].count, name="dense3")(x)  # (n, 1000)
    return keras.Model(inputs, outputs)
