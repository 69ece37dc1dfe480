import math

import torch
from torch import nn
from torch.nn import functional as F


class MnistNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(16 * 5 * 5, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        return self.fc(self.dropout(x))


def flat_image():
    return nn.Sequential(nn.Flatten(), nn.Linear(6 * 5 * 3, 16), nn.ReLU(), nn.Linear(16, 4))


class BasicBlock(nn.Module):
    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_planes, planes, 1, stride=stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self, num_classes=5):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 8))
        self.layer2 = nn.Sequential(BasicBlock(8, 16, 2), BasicBlock(16, 16))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(16, num_classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer2(self.layer1(x))
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(x)


class InvertedResidual(nn.Module):
    def __init__(self, inp, oup, expand):
        super().__init__()
        hidden = inp * expand
        self.use_res = inp == oup
        self.conv = nn.Sequential(
            nn.Conv2d(inp, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, oup, 1, bias=False),
            nn.BatchNorm2d(oup),
        )

    def forward(self, x):
        return x + self.conv(x) if self.use_res else self.conv(x)


class MobileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(inplace=True),
            InvertedResidual(8, 8, 2),
            InvertedResidual(8, 12, 2),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, 4))

    def forward(self, x):
        x = self.features(x).mean([2, 3])
        return self.classifier(x)


class SeparableConv2d(nn.Module):
    def __init__(self, cin, cout, kernel_size):
        super().__init__()
        self.depthwise = nn.Conv2d(cin, cin, kernel_size, padding=kernel_size // 2, groups=cin, bias=False)
        self.pointwise = nn.Conv2d(cin, cout, 1)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


def xception():
    return nn.Sequential(
        SeparableConv2d(3, 8, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        SeparableConv2d(8, 12, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 4),
    )


class DoubleConv(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(cin, cout, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(cout, cout, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class UNet(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.inc = DoubleConv(3, 4)
        self.down1 = DoubleConv(4, 8)
        self.down2 = DoubleConv(8, 16)
        self.up1 = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.conv1 = DoubleConv(16, 8)
        self.up2 = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.conv2 = DoubleConv(8, 4)
        self.outc = nn.Conv2d(4, classes, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(F.max_pool2d(x1, 2))
        x3 = self.down2(F.max_pool2d(x2, 2))
        x = self.conv1(torch.cat([x2, self.up1(x3)], dim=1))
        x = self.conv2(torch.cat([x1, self.up2(x)], dim=1))
        return self.outc(x)


class BiLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 16)
        self.lstm = nn.LSTM(16, 12, bidirectional=True, batch_first=True)
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(24, 2)

    def forward(self, text):
        embedded = self.embedding(text)
        _, (hidden, _) = self.lstm(embedded)
        hidden = self.dropout(torch.cat((hidden[-2], hidden[-1]), dim=1))
        return self.fc(hidden)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 8)
        self.lstm = nn.LSTM(8, 6, num_layers=2, bidirectional=True, dropout=0.3, batch_first=True)
        self.hidden2tag = nn.Linear(12, 5)

    def forward(self, sentence):
        return self.hidden2tag(self.lstm(self.embedding(sentence))[0])


class BiLSTMLastStep(BiLSTM):
    def forward(self, text):
        output, _ = self.lstm(self.embedding(text))
        return self.fc(self.dropout(output[:, -1]))


class GRUForecast(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 16, num_layers=2, batch_first=True)
        self.linear = nn.Linear(16, 1)

    def forward(self, x):
        h0 = torch.zeros(2, x.size(0), 16).to(x.device)
        out, _ = self.gru(x, h0)
        return self.linear(out[:, -1, :])


class CharRNN(nn.Module):
    def __init__(self, vocab=30, hidden=16):
        super().__init__()
        self.encoder = nn.Embedding(vocab, 12)
        self.lstm = nn.LSTM(12, hidden, num_layers=2, dropout=0.2, batch_first=True)
        self.decoder = nn.Linear(hidden, vocab)

    def forward(self, x):
        out, _ = self.lstm(self.encoder(x))
        return self.decoder(out)


class CellRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(6, 5)
        self.fc = nn.Linear(5, 3)

    def forward(self, x):
        h = torch.zeros(x.size(0), 5)
        c = torch.zeros(x.size(0), 5)
        for t in range(x.size(1)):
            h, c = self.cell(x[:, t], (h, c))
        return self.fc(h)


class RowLSTM(nn.Module):  # an image, read row by row
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(12, 16, 1, batch_first=True)
        self.fc = nn.Linear(16, 3)

    def forward(self, x):
        x = x.reshape(-1, 14, 12)
        h0 = torch.zeros(1, x.size(0), 16).to(x.device)
        c0 = torch.zeros(1, x.size(0), 16).to(x.device)
        out, _ = self.lstm(x, (h0, c0))
        return self.fc(out[:, -1, :])


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.src_emb = nn.Embedding(40, 8)
        self.tgt_emb = nn.Embedding(50, 8)
        self.encoder = nn.LSTM(8, 12, batch_first=True)
        self.decoder = nn.LSTM(8, 12, batch_first=True)
        self.out = nn.Linear(12, 50)

    def forward(self, src, tgt):
        _, state = self.encoder(self.src_emb(src))
        output, _ = self.decoder(self.tgt_emb(tgt), state)
        return self.out(output)


class Encoder(nn.Module):
    def __init__(self, norm_first=False):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            16, nhead=4, dim_feedforward=32, batch_first=True, norm_first=norm_first
        )
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.layer(x).mean(dim=1))


def pre_norm():
    return Encoder(norm_first=True)


class TextTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(50, 16)
        self.pos = nn.Embedding(9, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 24, dropout=0.0, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)
        self.fc = nn.Linear(16, 4)

    def forward(self, input_ids, attention_mask):
        positions = torch.arange(input_ids.size(1), device=input_ids.device)
        x = self.tok(input_ids) + self.pos(positions)
        x = self.encoder(x, src_key_padding_mask=~attention_mask)
        weight = attention_mask.unsqueeze(-1).to(x.dtype)
        return self.fc((x * weight).sum(1) / weight.sum(1))


class SelfAttention(nn.Module):
    def __init__(self, dim=16, heads=4, causal=False):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(dim, dim)
        self.v_proj = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, x):
        b, t, d = x.shape
        q = self.q_proj(x).view(b, t, self.heads, -1).transpose(1, 2)
        k = self.k_proj(x).view(b, t, self.heads, -1).transpose(1, 2)
        v = self.v_proj(x).view(b, t, self.heads, -1).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out_proj(y.transpose(1, 2).reshape(b, t, d))


class HandAttention(nn.Module):
    def __init__(self, causal=False):
        super().__init__()
        self.attn = SelfAttention(causal=causal)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head((x + self.attn(x)).mean(1))


def causal():
    return HandAttention(causal=True)


class MaskedSoftmaxAttention(nn.Module):  # as in many tutorials: matmul, mask, softmax, matmul
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 12)
        self.fc = nn.Linear(12, 3)

    def forward(self, x, mask):
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(q.size(-1))
        scores = scores.masked_fill(~mask[:, None, :], float("-inf"))
        return self.fc(torch.matmul(scores.softmax(dim=-1), v)[:, 0])


class GPTBlock(nn.Module):
    def __init__(self, dim=16, heads=2):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.c_attn = nn.Linear(dim, 3 * dim)
        self.c_proj = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(approximate="tanh"), nn.Linear(4 * dim, dim))
        self.heads = heads
        self.register_buffer("bias", torch.tril(torch.ones(64, 64)).view(1, 1, 64, 64))

    def attend(self, x):
        b, t, c = x.size()
        q, k, v = self.c_attn(x).split(c, dim=2)
        q, k, v = (y.view(b, t, self.heads, c // self.heads).transpose(1, 2) for y in (q, k, v))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :t, :t] == 0, float("-inf"))
        y = F.softmax(att, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(b, t, c))

    def forward(self, x):
        x = x + self.attend(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class MiniGPT(nn.Module):
    def __init__(self, vocab=40, length=8, dim=16):
        super().__init__()
        self.wte = nn.Embedding(vocab, dim)
        self.wpe = nn.Embedding(length, dim)
        self.blocks = nn.ModuleList([GPTBlock(dim) for _ in range(2)])
        self.ln_f = nn.LayerNorm(dim)
        self.lm_head = nn.Linear(dim, vocab, bias=False)
        self.wte.weight = self.lm_head.weight

    def forward(self, idx):
        pos = torch.arange(idx.size(1), device=idx.device)
        x = self.wte(idx) + self.wpe(pos)
        for block in self.blocks:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class LlamaBlock(nn.Module):
    def __init__(self, dim=16, hidden=24):
        super().__init__()
        self.norm = nn.RMSNorm(dim, eps=1e-6)
        self.w1 = nn.Linear(dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, dim, bias=False)
        self.w3 = nn.Linear(dim, hidden, bias=False)
        self.out = nn.Linear(dim, 3, bias=False)

    def forward(self, x):
        h = self.norm(x)
        x = x + self.w2(F.silu(self.w1(h)) * self.w3(h))
        return self.out(x)[:, -1]


class ViT(nn.Module):
    def __init__(self, image=12, patch=4, dim=16, depth=2, heads=4, classes=5):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, (image // patch) ** 2 + 1, dim))
        self.blocks = nn.ModuleList([ViTBlock(dim, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class ViTBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        h = self.norm1(x)
        x = x + self.attn(h, h, h, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(20, 16)
        self.fc21 = nn.Linear(16, 4)
        self.fc22 = nn.Linear(16, 4)
        self.fc3 = nn.Linear(4, 16)
        self.fc4 = nn.Linear(16, 20)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x, eps):
        mu, logvar = self.encode(x)
        z = mu + eps * torch.exp(0.5 * logvar)
        return {"output": self.decode(z), "mu": mu, "logvar": logvar}


class MultiTask(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        self.age = nn.Linear(16, 1)
        self.gender = nn.Linear(16, 3)

    def forward(self, x):
        features = self.body(x)
        return {"age": self.age(features), "gender": self.gender(features)}


def loss(outputs, targets):
    if "mu" in outputs:
        mu, logvar = outputs["mu"], outputs["logvar"]
        rebuilt = F.mse_loss(outputs["output"], targets["y"], reduction="sum") / len(mu)
        kld = -0.5 * torch.mean(torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1))
        return {"rebuilt": rebuilt, "kld": kld}
    return {
        "age": F.smooth_l1_loss(outputs["age"], targets["age"]),
        "gender": 0.5 * F.cross_entropy(outputs["gender"], targets["gender"]),
    }


def autoencoder():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(8, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(4, 8, 3, padding=1),
        nn.ReLU(),
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )


class MultiLabel(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(30, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 6)
        )

    def forward(self, x):
        return self.net(x)


class WideDeep(nn.Module):
    def __init__(self):
        super().__init__()
        self.deep = nn.Sequential(nn.Linear(8, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU())
        self.out = nn.Linear(35, 1)

    def forward(self, wide, deep):
        return self.out(torch.cat([wide, self.deep(deep)], dim=1))


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU())
        self.fc = nn.Sequential(nn.Linear(8 * 3 * 3, 16), nn.Sigmoid())
        self.out = nn.Linear(16, 1)

    def forward_one(self, x):
        x = self.cnn(x)
        return self.fc(x.view(x.size(0), -1))

    def forward(self, left, right):
        return self.out(torch.abs(self.forward_one(left) - self.forward_one(right)))


class M5(nn.Module):
    def __init__(self, channels=8):
        super().__init__()
        self.conv1 = nn.Conv1d(1, channels, kernel_size=9, stride=4)
        self.bn1 = nn.BatchNorm1d(channels)
        self.pool1 = nn.MaxPool1d(2)
        self.conv2 = nn.Conv1d(channels, 2 * channels, kernel_size=3)
        self.bn2 = nn.BatchNorm1d(2 * channels)
        self.fc1 = nn.Linear(2 * channels, 5)

    def forward(self, x):
        x = x.permute(0, 2, 1)
        x = self.pool1(F.relu(self.bn1(self.conv1(x))))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.avg_pool1d(x, x.shape[-1])
        return self.fc1(x.permute(0, 2, 1)).squeeze(1)


class Voxels(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv3d(2, 6, 3, padding=1)
        self.conv2 = nn.Conv3d(6, 8, 3)
        self.fc = nn.Linear(8 * 2 * 1 * 2, 3)

    def forward(self, x):  # (batch, depth, height, width, channels)
        x = x.permute(0, 4, 1, 2, 3)
        x = F.max_pool3d(F.relu(self.conv1(x)), 2)
        return self.fc(torch.flatten(F.relu(self.conv2(x)), 1))


def group_norm():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.GroupNorm(4, 16),
        nn.SiLU(),
        nn.Conv2d(16, 8, 3, stride=2),
        nn.GroupNorm(2, 8),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(8 * 3 * 3, 4),
    )


class Transfer(nn.Module):
    def __init__(self, keep_eval=True):
        super().__init__()
        self.keep_eval = keep_eval
        self.base = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, eps=1e-3, momentum=0.01), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU()
        )
        for param in self.base.parameters():
            param.requires_grad = False
        self.head = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))

    def train(self, mode=True):
        super().train(mode)
        if self.keep_eval:
            self.base.eval()
        return self

    def forward(self, x):
        x = self.base(x).mean(dim=(2, 3))
        return self.head(x)


def transfer_training():
    return Transfer(keep_eval=False)


class Nested(nn.Module):
    class Mlp(nn.Module):
        def __init__(self, sizes):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

        def forward(self, x):
            for layer in self.layers:
                x = torch.tanh(layer(x))
            return x

    def __init__(self):
        super().__init__()
        self.encoder = self.Mlp([10, 16, 8])
        self.decoder = self.Mlp([8, 16, 16])
        self.classifier = nn.Linear(16, 4)

    def forward(self, x):
        return self.classifier(self.decoder(self.encoder(x)))


class Video(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        self.fc = nn.Linear(6 * 3 * 3, 10)
        self.lstm = nn.LSTM(10, 8, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x):  # (batch, time, height, width, channels)
        b, t, h, w, c = x.shape
        frames = x.permute(0, 1, 4, 2, 3).reshape(b * t, c, h, w)
        features = F.relu(self.fc(self.cnn(frames))).view(b, t, -1)
        return self.out(self.lstm(features)[0][:, -1])


class PerStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 12, batch_first=True)
        self.out = nn.Linear(12, 5)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


def activations():
    return nn.Sequential(
        nn.Linear(12, 16), nn.PReLU(16),
        nn.Linear(16, 16), nn.LeakyReLU(0.1),
        nn.Linear(16, 16), nn.SiLU(),
        nn.Linear(16, 16), nn.Hardswish(),
        nn.Linear(16, 16), nn.Softplus(),
        nn.Linear(16, 16), nn.ELU(),
        nn.Linear(16, 16), nn.SELU(),
        nn.Linear(16, 16), nn.Mish(),
        nn.Linear(16, 16), nn.Hardtanh(),
        nn.Linear(16, 16), nn.Softsign(),
        nn.Linear(16, 3),
    )  # fmt: skip


def prelu_conv():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.PReLU(8), nn.Conv2d(8, 8, 3), nn.PReLU(), nn.Flatten(), nn.Linear(8 * 16, 3)
    )


class TextCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(60, 12)
        self.convs = nn.ModuleList([nn.Conv1d(12, 8, k) for k in (3, 4, 5)])
        self.fc = nn.Linear(24, 2)

    def forward(self, x):
        x = self.embedding(x).transpose(1, 2)
        pooled = [F.relu(conv(x)).max(dim=2).values for conv in self.convs]
        return self.fc(torch.cat(pooled, dim=1))


def ceil_pool():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.ReLU(),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.Conv2d(6, 8, 1),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(8 * 2 * 2, 3),
    )


class Preprocessed(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.conv = nn.Conv2d(3, 6, 3)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        x = (x / 255.0 - self.mean) / self.std
        return self.fc(F.relu(self.conv(x)).mean((2, 3)))


class Normalized(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.5, -1.0, 2.0, 0.0]))
        self.register_buffer("var", torch.tensor([4.0, 1.0, 0.25, 2.0]))
        self.net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x):
        return self.net((x - self.mean) / torch.sqrt(self.var))


class MixerBlock(nn.Module):
    def __init__(self, tokens, dim):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.token = nn.Sequential(nn.Linear(tokens, 12), nn.GELU(), nn.Linear(12, tokens))
        self.channel = nn.Sequential(nn.Linear(dim, 32), nn.GELU(), nn.Linear(32, dim))

    def forward(self, x):
        x = x + self.token(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channel(self.norm2(x))


class Mixer(nn.Module):
    def __init__(self, patch=4, dim=16):
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(3 * patch * patch, dim)
        self.block = MixerBlock(6, dim)
        self.head = nn.Linear(dim, 3)

    def forward(self, x):
        b, c, h, w = x.shape
        p = self.patch
        x = x.reshape(b, c, h // p, p, w // p, p).permute(0, 2, 4, 3, 5, 1)  # b h w p1 p2 c
        x = x.reshape(b, (h // p) * (w // p), p * p * c)
        return self.head(self.block(self.embed(x)).mean(1))


class NoWeights(nn.Module):
    def forward(self, x):
        x = F.avg_pool2d(x, 2)
        return torch.flatten(torch.tanh(x), 2).sum(-1)


class ConvNeXtBlock(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(1e-6 * torch.ones(dim))

    def forward(self, x):
        shortcut = x
        x = self.dwconv(x).permute(0, 2, 3, 1)
        x = self.pwconv2(F.gelu(self.pwconv1(self.norm(x))))
        return shortcut + (self.gamma * x).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 2, stride=2)
        self.blocks = nn.Sequential(ConvNeXtBlock(8), ConvNeXtBlock(8))
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean([-2, -1]))


class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.fc1 = nn.Linear(16, 4)
        self.fc2 = nn.Linear(4, 16)
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        x = F.relu(self.conv(x))
        b, c, _, _ = x.size()
        s = F.adaptive_avg_pool2d(x, 1).view(b, c)
        s = torch.sigmoid(self.fc2(F.relu(self.fc1(s)))).view(b, c, 1, 1)
        return self.out(F.adaptive_max_pool2d(x * s, 1).flatten(1))


# --- what differs on one side only, below; the Keras side has the twin of each


def leaky():
    return nn.Sequential(nn.Linear(12, 16), nn.LeakyReLU(), nn.Linear(16, 3))


class SmallConv(nn.Module):
    def __init__(self, pool=F.avg_pool2d, function=F.relu, padding=0, bias=True, size=3):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=padding)
        self.conv2 = nn.Conv2d(8, 8, size, bias=bias)
        self.fc = nn.Linear(8, 3)
        self.pool, self.function = pool, function

    def forward(self, x):
        x = self.pool(self.function(self.conv1(x)), 2)
        x = F.relu(self.conv2(x))
        return self.fc(x.mean((2, 3)))


def small_conv():
    return SmallConv()


def small_relu6():
    return SmallConv(function=F.relu6)


def relu6_mlp():
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU6(), nn.Linear(16, 3))


def relu_mlp():
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 3))


class Square(nn.Module):  # 10x10 with 8 filters of 3x3: 8x8 with 8 channels, so that axes can be mistaken
    def __init__(self, norm=True):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8, eps=1e-3, momentum=0.01) if norm else nn.Identity()
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(F.relu(self.norm(self.conv(x))).mean((2, 3)))


def square():
    return Square()


def square_plain():
    return Square(norm=False)


class NormSteps(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(5, 7)
        self.norm = nn.LayerNorm(7, eps=1e-3)
        self.out = nn.Linear(7, 3)

    def forward(self, x):
        return self.out(self.norm(self.inp(x)).mean(1))


class Heads(nn.Module):
    def __init__(self, heads=4):
        super().__init__()
        self.attn = nn.MultiheadAttention(16, heads, batch_first=True)
        self.fc = nn.Linear(16, 3)

    def forward(self, x):
        y, _ = self.attn(x, x, x)
        return self.fc(y[:, -1])


class Regularized(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(12, 16)
        self.drop = nn.Dropout(0.4)
        self.fc2 = nn.Linear(16, 3)

    def forward(self, x):
        return self.fc2(self.drop(torch.relu(self.fc1(x))))


class Unscaled(HandAttention):
    def forward(self, x):
        b, t, d = x.shape
        a = self.attn
        q, k, v = (p(x).view(b, t, 4, 4).transpose(1, 2) for p in (a.q_proj, a.k_proj, a.v_proj))
        y = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.head((x + a.out_proj(y.transpose(1, 2).reshape(b, t, d))).mean(1))
