import keras
from keras import layers, ops


def norm(momentum=0.9):
    return keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(8),
            layers.BatchNormalization(momentum=momentum),
            layers.ReLU(),
            layers.Dense(3),
        ]
    )


def norm_frozen():
    model = norm()
    model.layers[1].trainable = False
    return model


def norm_momentum():
    return norm(0.99)


def conv(same=False, stride=2):
    x = keras.Input((10, 10, 3))
    y = layers.Conv2D(6, 3, activation="relu")(x)
    y = y if same else layers.ZeroPadding2D(1)(y)
    y = layers.Conv2D(8, 3, strides=stride, padding="same" if same else "valid", activation="relu")(y)
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(y)))


def conv_same():
    return conv(same=True)


def conv_stride():
    return conv(stride=1)


def pool():
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
    y = layers.AveragePooling2D(3, strides=1, padding="same")(y)
    return keras.Model(x, layers.Dense(3)(layers.Flatten()(y)))


def _recurrent(*cells):
    return keras.Sequential([keras.Input((7, 6)), *cells, layers.Dense(3)])


def lstm():
    return _recurrent(layers.LSTM(5))


def gru():
    return _recurrent(layers.GRU(5))


def gru_reset_before():
    return _recurrent(layers.GRU(5, reset_after=False))


def stacked():
    return _recurrent(layers.LSTM(5, return_sequences=True), layers.LSTM(5))


def stacked_relu():
    return _recurrent(layers.LSTM(5, return_sequences=True), layers.LSTM(5, activation="relu"))


def attending(causal=False):
    x = keras.Input((6, 8))
    y = layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=causal)
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(y)))


def causal():
    return attending(causal=True)


def masked():
    x, mask = keras.Input((6, 8), name="x"), keras.Input((6,), dtype="bool", name="mask")
    allowed = layers.Lambda(lambda m: ops.tile(m[:, None, :], (1, 6, 1)))(mask)
    y = layers.MultiHeadAttention(2, 4)(x, x, attention_mask=allowed)
    return keras.Model([x, mask], layers.Dense(3)(y[:, 0]))


def mlp(**last):
    return keras.Sequential([keras.Input((20,)), layers.Dense(8, activation="relu"), layers.Dense(3, **last)])


def softmax():
    return mlp(activation="softmax")


def flat(*between):
    dense = layers.Dense(5, activation="relu")
    return keras.Sequential([keras.Input((7, 4)), dense, *between, layers.Flatten(), layers.Dense(3)])


def flat_permuted():
    return flat(layers.Permute((2, 1)))


def upsampled():
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, activation="relu")(x)
    y = layers.UpSampling2D(2, interpolation="bilinear")(y)
    y = layers.Conv2D(2, 1, activation="tanh")(y)
    return keras.Model(x, layers.GlobalAveragePooling2D()(y))


def transposed():
    x = keras.Input((5, 5, 3))
    y = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(x)
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(y)))


def transposed_cropped():
    x = keras.Input((5, 5, 3))
    y = layers.Conv2DTranspose(4, 3, strides=2, padding="valid", activation="relu")(x)
    y = layers.Cropping2D(((1, 0), (1, 0)))(y)
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(y)))


def frozen():
    model = mlp()
    model.layers[0].trainable = False
    return model


def nested():
    body = keras.Sequential([keras.Input((7, 6)), layers.LSTM(5, return_sequences=True), layers.LSTM(5)])
    tail = keras.Sequential([keras.Input((5,)), layers.Dense(5), layers.LayerNormalization(), layers.Dense(3)])
    x = keras.Input((7, 6))
    return keras.Model(x, tail(body(x)))
