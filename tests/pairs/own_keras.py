import keras
from keras import layers, ops


def two_inputs():
    image, words = keras.Input((8, 8, 3), name="image"), keras.Input((5,), dtype="int32", name="words")
    x = layers.Flatten()(layers.Conv2D(8, 3, activation="relu")(image))
    x = layers.Dense(16)(x)
    w = layers.GlobalAveragePooling1D()(layers.Embedding(50, 16)(words))
    return keras.Model([image, words], layers.Dense(5)(layers.Concatenate()([x, w])))


def autoencoder():
    x = keras.Input((20,))
    code = layers.Dense(6, activation="tanh")(x)
    return keras.Model(x, {"code": code, "output": layers.Dense(20)(code)})


def loss(outputs, targets):
    return {
        "rebuild": ops.mean((outputs["output"] - targets["y"]) ** 2),
        "sparse": 0.1 * ops.mean(ops.abs(outputs["code"])),
    }


def branches():  # the right branch is called first
    x = keras.Input((12,))
    stem = layers.Dense(16, activation="relu")(x)
    right = layers.Dense(16, activation="tanh")(stem)
    left = layers.Dense(16, activation="relu")(stem)
    return keras.Model(x, layers.Dense(4)(layers.Concatenate()([left, right])))


def tower():
    shared = keras.Sequential([keras.Input((10,)), layers.Dense(8, activation="relu"), layers.Dense(8)])
    a, b = keras.Input((10,), name="a"), keras.Input((10,), name="b")
    return keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([shared(a), shared(b)])))


def attention():
    x = keras.Input((7, 16))
    y = layers.MultiHeadAttention(4, 4)(x, x)
    y = layers.LayerNormalization(epsilon=1e-6)(x + y)
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(y)))


class Scale(layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        self.mix = self.add_weight(shape=(shape[-1], shape[-1]), name="mix")

    def call(self, x):
        return x * self.scale + ops.matmul(x, self.mix)


def own_layer():
    return keras.Sequential([keras.Input((20,)), layers.Dense(12), Scale(), layers.ReLU(), layers.Dense(3)])


class Tied(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = layers.Embedding(30, 12)
        self.first = layers.GRU(12, return_sequences=True)
        self.second = layers.GRU(12, return_sequences=True)

    def call(self, x):
        x = self.second(self.first(self.embed(x)))
        return ops.matmul(x, ops.transpose(self.embed.embeddings))


def generator():
    z = keras.Input((10,))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(36)(z)))
    x = layers.Conv2DTranspose(2, 4, strides=2, padding="same")(layers.Reshape((3, 3, 4))(x))
    return keras.Model(z, x)


def sequence():
    x = keras.Input((9, 4))
    y = layers.Conv1D(6, 3, activation="relu")(x)
    y = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(y)
    y = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(y)
    return keras.Model(x, layers.Dense(1)(layers.GlobalAveragePooling1D()(y)))


def frozen():
    model = keras.Sequential([keras.Input((20,)), layers.Dense(8, activation="relu"), layers.Dense(3)])
    model.layers[0].trainable = False
    return model
