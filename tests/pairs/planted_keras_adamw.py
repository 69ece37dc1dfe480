"""A network and the optimizer it is trained with."""

import keras
from keras import layers


def mlp():
    return keras.Sequential(
        [keras.Input((20,)), layers.Dense(8, activation="relu"), layers.Dense(3)]
    )


def optimizer():
    return keras.optimizers.AdamW(1e-3, weight_decay=0.1)
