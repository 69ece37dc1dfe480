import math

import keras
import numpy as np
from keras import layers, ops


def mnist():
    return keras.Sequential(
        [
            keras.Input(shape=(28, 28, 1)),
            layers.Conv2D(8, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(16, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )


def mnist_permuted():  # flattened as PyTorch does, so that weights can be copied
    x = keras.Input(shape=(28, 28, 1))
    y = layers.MaxPooling2D()(layers.Conv2D(8, 3, activation="relu")(x))
    y = layers.MaxPooling2D()(layers.Conv2D(16, 3, activation="relu")(y))
    y = layers.Flatten()(layers.Permute((3, 1, 2))(y))
    return keras.Model(x, layers.Dense(10)(layers.Dropout(0.5)(y)))


def flat_image():
    return keras.Sequential(
        [keras.Input((6, 5, 3)), layers.Flatten(), layers.Dense(16, activation="relu"), layers.Dense(4)]
    )


def _bn(x):
    return layers.BatchNormalization(epsilon=1e-5, momentum=0.9)(x)


def _block(x, filters, stride=1):
    shortcut = x
    y = layers.ZeroPadding2D(1)(x)
    y = layers.Conv2D(filters, 3, strides=stride, use_bias=False)(y)
    y = layers.ReLU()(_bn(y))
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
    y = _bn(y)
    if stride != 1 or shortcut.shape[-1] != filters:
        shortcut = _bn(layers.Conv2D(filters, 1, strides=stride, use_bias=False)(shortcut))
    return layers.ReLU()(layers.Add()([shortcut, y]))


def resnet():
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(_bn(x))
    for filters, stride in ((8, 1), (8, 1), (16, 2), (16, 1)):
        x = _block(x, filters, stride)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(5)(x))


def _inverted(x, filters, expand):
    hidden = x.shape[-1] * expand
    y = layers.ReLU(6.0)(_bn(layers.Conv2D(hidden, 1, use_bias=False)(x)))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
    y = layers.ReLU(6.0)(_bn(y))
    y = _bn(layers.Conv2D(filters, 1, use_bias=False)(y))
    return layers.add([x, y]) if x.shape[-1] == filters else y


def mobilenet(cap=6.0):
    inputs = keras.Input((10, 10, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU(cap)(_bn(x))
    x = _inverted(_inverted(x, 8, 2), 12, 2)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(4)(layers.Dropout(0.2)(x)))


def xception():
    return keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            layers.SeparableConv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.SeparableConv2D(12, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )


def _double(x, filters):
    x = layers.Conv2D(filters, 3, activation="relu", padding="same")(x)
    return layers.Conv2D(filters, 3, activation="relu", padding="same")(x)


def unet():
    inputs = keras.Input((16, 16, 3))
    c1 = _double(inputs, 4)
    c2 = _double(layers.MaxPooling2D((2, 2))(c1), 8)
    c3 = _double(layers.MaxPooling2D((2, 2))(c2), 16)
    u4 = layers.Conv2DTranspose(8, (2, 2), strides=(2, 2), padding="same")(c3)
    c4 = _double(layers.concatenate([c2, u4]), 8)
    u5 = layers.Conv2DTranspose(4, (2, 2), strides=(2, 2), padding="same")(c4)
    c5 = _double(layers.concatenate([c1, u5]), 4)
    return keras.Model(inputs, layers.Conv2D(3, (1, 1))(c5))


def unet_swapped():  # the skip connection behind the upsampled map, not before it
    inputs = keras.Input((16, 16, 3))
    c1 = _double(inputs, 4)
    c2 = _double(layers.MaxPooling2D((2, 2))(c1), 8)
    c3 = _double(layers.MaxPooling2D((2, 2))(c2), 16)
    u4 = layers.Conv2DTranspose(8, (2, 2), strides=(2, 2), padding="same")(c3)
    c4 = _double(layers.concatenate([u4, c2]), 8)
    u5 = layers.Conv2DTranspose(4, (2, 2), strides=(2, 2), padding="same")(c4)
    c5 = _double(layers.concatenate([c1, u5]), 4)
    return keras.Model(inputs, layers.Conv2D(3, (1, 1))(c5))


def bilstm():
    return keras.Sequential(
        [
            keras.Input((10,), dtype="int32"),
            layers.Embedding(100, 16),
            layers.Bidirectional(layers.LSTM(12)),
            layers.Dropout(0.3),
            layers.Dense(2),
        ]
    )


def tagger():
    return keras.Sequential(
        [
            keras.Input((9,), dtype="int32"),
            layers.Embedding(30, 8),
            layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
            layers.Dropout(0.3),
            layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
            layers.TimeDistributed(layers.Dense(5)),
        ]
    )


def gru_forecast():
    model = keras.Sequential()
    model.add(keras.Input((12, 3)))
    model.add(layers.GRU(16, return_sequences=True))
    model.add(layers.GRU(16))
    model.add(layers.Dense(1))
    return model


class CharRNN(keras.Model):
    def __init__(self, vocab=30, hidden=16):
        super().__init__()
        self.embedding = layers.Embedding(vocab, 12)
        self.lstm1 = layers.LSTM(hidden, return_sequences=True)
        self.dropout = layers.Dropout(0.2)
        self.lstm2 = layers.LSTM(hidden, return_sequences=True)
        self.dense = layers.Dense(vocab)

    def call(self, inputs, training=False):
        x = self.lstm1(self.embedding(inputs))
        x = self.dropout(x, training=training)
        return self.dense(self.lstm2(x))


def cell():
    return keras.Sequential([keras.Input((7, 6)), layers.LSTM(5), layers.Dense(3)])


def rows():
    return keras.Sequential([keras.Input((14, 12, 1)), layers.Reshape((14, 12)), layers.LSTM(16), layers.Dense(3)])


def seq2seq():
    src, tgt = keras.Input((7,), dtype="int32", name="src"), keras.Input((5,), dtype="int32", name="tgt")
    _, h, c = layers.LSTM(12, return_state=True)(layers.Embedding(40, 8)(src))
    x = layers.Embedding(50, 8)(tgt)
    x, _, _ = layers.LSTM(12, return_sequences=True, return_state=True)(x, initial_state=[h, c])
    return keras.Model([src, tgt], layers.Dense(50)(x))


class TransformerBlock(layers.Layer):
    def __init__(self, embed_dim, num_heads, ff_dim, rate=0.1, activation="relu"):
        super().__init__()
        self.att = layers.MultiHeadAttention(num_heads, embed_dim // num_heads, dropout=rate)
        self.ffn = keras.Sequential(
            [layers.Dense(ff_dim, activation=activation), layers.Dropout(rate), layers.Dense(embed_dim)]
        )
        self.layernorm1 = layers.LayerNormalization(epsilon=1e-5)
        self.layernorm2 = layers.LayerNormalization(epsilon=1e-5)
        self.dropout1 = layers.Dropout(rate)
        self.dropout2 = layers.Dropout(rate)

    def call(self, inputs, attention_mask=None):
        attn_output = self.att(inputs, inputs, attention_mask=attention_mask)
        out1 = self.layernorm1(inputs + self.dropout1(attn_output))
        ffn_output = self.dropout2(self.ffn(out1))
        return self.layernorm2(out1 + ffn_output)


def encoder():
    inputs = keras.Input((7, 16))
    x = TransformerBlock(16, 4, 32)(inputs)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


class PositionEmbedding(layers.Layer):
    def __init__(self, maxlen, vocab_size, embed_dim):
        super().__init__()
        self.token_emb = layers.Embedding(vocab_size, embed_dim)
        self.pos_emb = layers.Embedding(maxlen, embed_dim)

    def call(self, x):
        positions = ops.arange(0, ops.shape(x)[-1])
        return self.token_emb(x) + self.pos_emb(positions)


class TextTransformer(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding = PositionEmbedding(9, 50, 16)
        self.block1 = TransformerBlock(16, 2, 24, rate=0.0, activation=lambda x: keras.activations.gelu(x))
        self.block2 = TransformerBlock(16, 2, 24, rate=0.0, activation="gelu")
        self.fc = layers.Dense(4)

    def call(self, input_ids, attention_mask):
        x = self.embedding(input_ids)
        mask = attention_mask[:, None, :]
        x = self.block2(self.block1(x, mask), mask)
        w = ops.cast(attention_mask, x.dtype)[..., None]
        return self.fc(ops.sum(x * w, axis=1) / ops.sum(w, axis=1))


class SelfAttention(layers.Layer):
    def __init__(self, dim=16, heads=4, causal=False):
        super().__init__()
        self.dim, self.heads, self.causal = dim, heads, causal
        self.wq, self.wk, self.wv = layers.Dense(dim), layers.Dense(dim), layers.Dense(dim)
        self.dense = layers.Dense(dim)

    def split_heads(self, x):
        x = ops.reshape(x, (ops.shape(x)[0], -1, self.heads, self.dim // self.heads))
        return ops.transpose(x, (0, 2, 1, 3))

    def call(self, x):
        v, k, q = (self.split_heads(w(x)) for w in (self.wv, self.wk, self.wq))
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / math.sqrt(self.dim // self.heads)
        if self.causal:
            steps = x.shape[1]
            scores += -1e9 * (1.0 - np.tril(np.ones((steps, steps))))
        y = ops.transpose(ops.matmul(ops.softmax(scores, axis=-1), v), (0, 2, 1, 3))
        return self.dense(ops.reshape(y, (ops.shape(x)[0], -1, self.dim)))


def hand_attention(causal=False):
    x = keras.Input((6, 16))
    y = layers.Add()([x, SelfAttention(causal=causal)(x)])
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(y)))


def heads_layer():
    x = keras.Input((6, 16))
    y = layers.Add()([x, layers.MultiHeadAttention(num_heads=4, key_dim=4)(x, x)])
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(y)))


def causal_hand():
    return hand_attention(causal=True)


def causal_layer():
    x = keras.Input((6, 16))
    y = layers.Add()([x, layers.MultiHeadAttention(4, 4)(x, x, use_causal_mask=True)])
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(y)))


def masked_attention():
    x, mask = keras.Input((6, 12), name="x"), keras.Input((6,), dtype="bool", name="mask")
    q, k, v = layers.Dense(12)(x), layers.Dense(12)(x), layers.Dense(12)(x)
    y = layers.Attention(score_mode="dot")(
        [q / math.sqrt(12), v, k], mask=[None, mask]
    )
    return keras.Model([x, mask], layers.Dense(3)(y[:, 0]))


class GPTBlock(layers.Layer):
    def __init__(self, dim, heads):
        super().__init__()
        self.ln1, self.ln2 = layers.LayerNormalization(epsilon=1e-5), layers.LayerNormalization(epsilon=1e-5)
        self.qkv, self.proj = layers.Dense(3 * dim), layers.Dense(dim)
        self.fc1 = layers.Dense(4 * dim, activation=lambda x: keras.activations.gelu(x, approximate=True))
        self.fc2 = layers.Dense(dim)
        self.heads = heads

    def attend(self, x):
        _, t, c = x.shape
        q, k, v = (
            ops.transpose(ops.reshape(y, (-1, t, self.heads, c // self.heads)), (0, 2, 1, 3))
            for y in ops.split(self.qkv(x), 3, axis=-1)
        )
        att = ops.matmul(q, ops.swapaxes(k, -1, -2)) / (c // self.heads) ** 0.5
        att = ops.where(ops.tril(ops.ones((t, t), dtype="bool")), att, -1e30)
        y = ops.matmul(ops.softmax(att), v)
        return self.proj(ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (-1, t, c)))

    def call(self, x):
        x = x + self.attend(self.ln1(x))
        return x + self.fc2(self.fc1(self.ln2(x)))


class MiniGPT(keras.Model):
    def __init__(self, vocab=40, length=8, dim=16):
        super().__init__()
        self.wte, self.wpe = layers.Embedding(vocab, dim), layers.Embedding(length, dim)
        self.h = [GPTBlock(dim, 2) for _ in range(2)]
        self.ln_f = layers.LayerNormalization(epsilon=1e-5)

    def call(self, idx):
        x = self.wte(idx) + self.wpe(ops.arange(idx.shape[1]))
        for block in self.h:
            x = block(x)
        return ops.matmul(self.ln_f(x), ops.transpose(self.wte.embeddings))


def llama():
    x = keras.Input((5, 16))
    h = layers.RMSNormalization(epsilon=1e-6)(x)
    gate = layers.Dense(24, use_bias=False, activation="silu")(h)
    up = layers.Dense(24, use_bias=False)(h)
    y = layers.Dense(16, use_bias=False)(layers.Multiply()([gate, up]))
    y = layers.Dense(3, use_bias=False)(layers.Add()([x, y]))
    return keras.Model(x, y[:, -1])


class ClassToken(layers.Layer):
    def build(self, shape):
        self.cls = self.add_weight(shape=(1, 1, shape[-1]), initializer="zeros", name="cls")

    def call(self, x):
        cls = ops.broadcast_to(self.cls, (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([cls, x], axis=1)


class AddPositions(layers.Layer):
    def build(self, shape):
        self.pe = self.add_weight(shape=(1, *shape[1:]), initializer="random_normal", name="pos_embedding")

    def call(self, x):
        return x + self.pe


class PatchPositions(layers.Layer):  # as in the examples of keras.io
    def __init__(self, count, dim):
        super().__init__()
        self.count = count
        self.position_embedding = layers.Embedding(input_dim=count, output_dim=dim)

    def call(self, x):
        return x + self.position_embedding(ops.expand_dims(ops.arange(self.count), 0))


def vit(positions=AddPositions):
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(16, 4, strides=4)(inputs)
    x = layers.Reshape((9, 16))(x)
    x = positions()(ClassToken()(x))
    for _ in range(2):
        h = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(num_heads=4, key_dim=4)(h, h)])
        h = layers.LayerNormalization(epsilon=1e-6)(x)
        h = layers.Dense(32, activation=keras.activations.gelu)(h)
        x = layers.Add()([x, layers.Dense(16)(h)])
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    return keras.Model(inputs, layers.Dense(5)(x[:, 0]))


def vit_table():
    return vit(lambda: PatchPositions(10, 16))


class VAE(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(16, activation="relu")
        self.z_mean = layers.Dense(4, name="z_mean")
        self.z_log_var = layers.Dense(4, name="z_log_var")
        self.decoder = keras.Sequential([layers.Dense(16, activation="relu"), layers.Dense(20, activation="sigmoid")])

    def call(self, x, eps):
        h = self.hidden(x)
        mu, logvar = self.z_mean(h), self.z_log_var(h)
        return {"output": self.decoder(mu + ops.exp(0.5 * logvar) * eps), "mu": mu, "logvar": logvar}


def multi_task():
    inputs = keras.Input((12,))
    x = layers.Dense(16, activation="relu")(inputs)
    x = layers.Dense(16, activation="relu")(x)
    return keras.Model(inputs, {"gender": layers.Dense(3)(x), "age": layers.Dense(1)(x)})


def loss(outputs, targets):
    if "mu" in outputs:
        mu, logvar = outputs["mu"], outputs["logvar"]
        rebuilt = ops.mean(ops.sum(ops.square(outputs["output"] - targets["y"]), axis=1))
        kl = -0.5 * (1 + logvar - ops.square(mu) - ops.exp(logvar))
        return {"rebuilt": rebuilt, "kld": ops.mean(ops.sum(kl, axis=1))}
    return {
        "age": keras.losses.Huber()(targets["age"], outputs["age"]),
        "gender": 0.5
        * keras.losses.SparseCategoricalCrossentropy(from_logits=True)(targets["gender"], outputs["gender"]),
    }


def autoencoder():
    x = keras.Input((12, 12, 1))
    y = layers.Conv2D(8, (3, 3), activation="relu", padding="same")(x)
    y = layers.MaxPooling2D((2, 2), padding="same")(y)
    y = layers.Conv2D(4, (3, 3), activation="relu", padding="same")(y)
    encoded = layers.MaxPooling2D((2, 2), padding="same")(y)
    y = layers.Conv2D(8, (3, 3), activation="relu", padding="same")(encoded)
    y = layers.UpSampling2D((2, 2))(y)
    y = layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid")(y)
    return keras.Model(x, y)


def multi_label():
    return keras.Sequential(
        [
            keras.Input((30,)),
            layers.Dense(24),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.Activation("relu"),
            layers.Dropout(0.2),
            layers.Dense(6),
        ]
    )


def wide_deep():
    wide, deep = keras.Input((5,), name="wide"), keras.Input((8,), name="deep")
    h = layers.Dense(30, activation="relu")(deep)
    h = layers.Dense(30, activation="relu")(h)
    return keras.Model([wide, deep], layers.Dense(1)(layers.concatenate([wide, h])))


def siamese():
    tower = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(6, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(16, activation="sigmoid"),
        ],
        name="tower",
    )
    left, right = keras.Input((12, 12, 1), name="left"), keras.Input((12, 12, 1), name="right")
    distance = layers.Lambda(lambda pair: ops.abs(pair[0] - pair[1]))([tower(left), tower(right)])
    return keras.Model([left, right], layers.Dense(1)(distance))


def m5():
    inputs = keras.Input((77, 1))
    x = layers.Conv1D(8, 9, strides=4)(inputs)
    x = layers.MaxPooling1D(2)(layers.Activation("relu")(_bn(x)))
    x = layers.Activation("relu")(_bn(layers.Conv1D(16, 3)(x)))
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling1D()(x)))


def voxels():
    return keras.Sequential(
        [
            keras.Input((8, 6, 8, 2)),
            layers.Conv3D(6, 3, padding="same", activation="relu"),
            layers.MaxPooling3D(2),
            layers.Conv3D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def group_norm():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(16, 3, padding="same"),
            layers.GroupNormalization(groups=4, epsilon=1e-5),
            layers.Activation("swish"),
            layers.Conv2D(8, 3, strides=2),
            layers.GroupNormalization(groups=2, epsilon=1e-5),
            layers.Activation("swish"),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


def transfer():
    base = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(8, 3, activation="relu"),
        ]
    )
    base.trainable = False
    inputs = keras.Input((8, 8, 3))
    x = base(inputs, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(16, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(3)(x))


class Nested(keras.Model):
    def __init__(self):
        super().__init__()
        x = keras.Input((10,))
        h = layers.Dense(16, activation="tanh")(x)
        self.encoder = keras.Model(x, layers.Dense(8, activation="tanh")(h), name="encoder")
        self.decoder = keras.Sequential([layers.Dense(16, activation="tanh"), layers.Dense(16, activation="tanh")])
        self.classifier = layers.Dense(4)

    def call(self, inputs):
        return self.classifier(self.decoder(self.encoder(inputs)))


def video():
    cnn = keras.Sequential([layers.Conv2D(6, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()])
    x = keras.Input((5, 8, 8, 3))
    y = layers.TimeDistributed(cnn)(x)
    y = layers.TimeDistributed(layers.Dense(10, activation="relu"))(y)
    return keras.Model(x, layers.Dense(3)(layers.LSTM(8)(y)))


def per_step():
    return keras.Sequential(
        [
            keras.Input((9, 4)),
            layers.SimpleRNN(12, return_sequences=True),
            layers.TimeDistributed(layers.Dense(5)),
        ]
    )


def activations():
    x = keras.Input((12,))
    y = layers.PReLU()(layers.Dense(16)(x))
    y = layers.LeakyReLU(negative_slope=0.1)(layers.Dense(16)(y))
    y = layers.Dense(16, activation="swish")(y)
    y = layers.Activation("hard_swish")(layers.Dense(16)(y))
    y = layers.Dense(16, activation="softplus")(y)
    y = layers.ELU()(layers.Dense(16)(y))
    y = layers.Dense(16, activation="selu")(y)
    y = layers.Dense(16, activation=keras.activations.mish)(y)
    y = layers.Dense(16, activation="hard_tanh")(y)
    y = layers.Dense(16, activation="softsign")(y)
    return keras.Model(x, layers.Dense(3)(y))


def prelu_conv():
    x = keras.Input((8, 8, 3))
    y = layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(8, 3)(x))
    y = layers.PReLU(shared_axes=[1, 2, 3])(layers.Conv2D(8, 3)(y))
    return keras.Model(x, layers.Dense(3)(layers.Flatten()(y)))


def text_cnn():
    x = keras.Input((14,), dtype="int32")
    e = layers.Embedding(60, 12)(x)
    pooled = [layers.GlobalMaxPooling1D()(layers.Conv1D(8, k, activation="relu")(e)) for k in (3, 4, 5)]
    return keras.Model(x, layers.Dense(2)(layers.Concatenate()(pooled)))


def ceil_pool():
    return keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            layers.Conv2D(6, 3, activation="relu"),
            layers.AveragePooling2D(2, padding="same"),
            layers.Conv2D(8, 1, activation="relu"),
            layers.MaxPooling2D(3, strides=2, padding="same"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def preprocessed():
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1.0 / 255),
            layers.Normalization(mean=mean, variance=[s**2 for s in std]),
            layers.Conv2D(6, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


def normalized():
    norm = layers.Normalization(axis=-1)
    mean, std = np.array([0.5, -1.0, 2.0, 0.0]), np.sqrt(np.array([4.0, 1.0, 0.25, 2.0]))
    norm.adapt(np.stack([mean + std, mean - std]))
    return keras.Sequential([keras.Input((4,)), norm, layers.Dense(16, activation="relu"), layers.Dense(1)])


def mixer():
    p = 4
    x = keras.Input((8, 12, 3))
    y = layers.Reshape((2, p, 3, p, 3))(x)
    y = layers.Permute((1, 3, 2, 4, 5))(y)
    y = layers.Dense(16)(layers.Reshape((6, p * p * 3))(y))
    h = layers.Permute((2, 1))(layers.LayerNormalization(epsilon=1e-5)(y))
    h = layers.Dense(6)(layers.Dense(12, activation="gelu")(h))
    y = layers.Add()([y, layers.Permute((2, 1))(h)])
    h = layers.Dense(32, activation="gelu")(layers.LayerNormalization(epsilon=1e-5)(y))
    y = layers.Add()([y, layers.Dense(16)(h)])
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(y)))


def no_weights():
    x = keras.Input((8, 8, 3))
    y = layers.Activation("tanh")(layers.AveragePooling2D(2)(x))
    return keras.Model(x, ops.sum(y, axis=(1, 2)))


class LayerScale(layers.Layer):
    def __init__(self, init, dim):
        super().__init__()
        self.init, self.dim = init, dim

    def build(self, shape):
        self.gamma = self.add_weight(
            shape=(self.dim,), initializer=keras.initializers.Constant(self.init), name="gamma"
        )

    def call(self, x):
        return x * self.gamma


def convnext():
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 2, strides=2)(inputs)
    for _ in range(2):
        h = layers.DepthwiseConv2D(7, padding="same")(x)
        h = layers.LayerNormalization(epsilon=1e-6)(h)
        h = layers.Dense(8)(layers.Activation("gelu")(layers.Dense(32)(h)))
        x = layers.Add()([x, LayerScale(1e-6, 8)(h)])
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


def squeeze_excite():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    s = layers.GlobalAveragePooling2D()(x)
    s = layers.Dense(4, activation="relu")(s)
    s = layers.Dense(16, activation="sigmoid")(s)
    x = layers.Multiply()([x, layers.Reshape((1, 1, 16))(s)])
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))


# --- twins of the last ones of the other file; each with what is wrong about it


def leaky():
    return keras.Sequential([keras.Input((12,)), layers.Dense(16), layers.LeakyReLU(), layers.Dense(3)])


def leaky_fused():
    return keras.Sequential([keras.Input((12,)), layers.Dense(16, activation="leaky_relu"), layers.Dense(3)])


def leaky_right():
    return keras.Sequential([keras.Input((12,)), layers.Dense(16), layers.LeakyReLU(0.01), layers.Dense(3)])


def small_conv(pool=layers.AveragePooling2D, activation="relu", padding="valid", bias=True):
    return keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            layers.Conv2D(8, 3, activation=activation, padding=padding),
            pool(2),
            layers.Conv2D(8, 3, activation="relu", use_bias=bias),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


def small_max():
    return small_conv(layers.MaxPooling2D)


def small_linear():
    return small_conv(activation=None)


def small_same():
    return small_conv(padding="same")


def small_no_bias():
    return small_conv(bias=False)


def relu_mlp(**kwargs):
    return keras.Sequential([keras.Input((12,)), layers.Dense(16), layers.ReLU(**kwargs), layers.Dense(3)])


def relu6_mlp():
    return relu_mlp(max_value=6.0)


def mobilenet_relu():
    return mobilenet(cap=None)


def square(axis=-1, over=(1, 2), norm=True):
    x = keras.Input((10, 10, 3))
    y = layers.Conv2D(8, 3)(x)
    y = layers.BatchNormalization(axis=axis)(y) if norm else y
    y = ops.mean(layers.ReLU()(y), axis=over)
    return keras.Model(x, layers.Dense(3)(y))


def square_axis():
    return square(axis=1)


def square_plain():
    return square(norm=False)


def square_over():
    return square(norm=False, over=(2, 3))


def norm_steps(axis=-1):
    x = keras.Input((7, 5))
    y = layers.LayerNormalization(axis=axis)(layers.Dense(7)(x))
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(y)))


def norm_steps_axis():
    return norm_steps(axis=1)


def heads(count=4):
    x = keras.Input((6, 16))
    y = layers.MultiHeadAttention(num_heads=count, key_dim=16 // count)(x, x)
    return keras.Model(x, layers.Dense(3)(y[:, -1]))


def heads_two():
    return heads(2)


def not_regularized():
    return keras.Sequential([keras.Input((12,)), layers.Dense(16, activation="relu"), layers.Dense(3)])


def regularized():
    return keras.Sequential(
        [keras.Input((12,)), layers.Dense(16, activation="relu"), layers.Dropout(0.4), layers.Dense(3)]
    )
