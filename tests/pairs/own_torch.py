import torch
from torch import nn
from torch.nn import functional as F


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 16))
        self.words = nn.Embedding(50, 16)
        self.head = nn.Linear(32, 5)

    def forward(self, image, words):
        return self.head(torch.cat([self.image(image), self.words(words).mean(1)], 1))


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(20, 6)
        self.decode = nn.Linear(6, 20)

    def forward(self, x):
        code = torch.tanh(self.encode(x))
        return {"code": code, "output": self.decode(code)}


def loss(outputs, targets):
    return {
        "rebuild": F.mse_loss(outputs["output"], targets["y"]),
        "sparse": 0.1 * outputs["code"].abs().mean(),
    }


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(12, 16)
        self.left = nn.Linear(16, 16)
        self.right = nn.Linear(16, 16)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        return self.head(torch.cat([torch.relu(self.left(x)), torch.tanh(self.right(x))], -1))


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 8))
        self.head = nn.Linear(16, 1)

    def forward(self, a, b):
        return self.head(torch.cat([self.tower(a), self.tower(b)], 1))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(16, 4, batch_first=True)
        self.norm = nn.LayerNorm(16, eps=1e-6)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.norm(x + self.attend(x, x, x, need_weights=False)[0]).mean(1))


class Scale(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))
        self.mix = nn.Parameter(torch.randn(size, size) * 0.1)

    def forward(self, x):
        return x * self.scale + x @ self.mix


def own_layer():
    return nn.Sequential(nn.Linear(20, 12), Scale(12), nn.ReLU(), nn.Linear(12, 3))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(30, 12)
        self.rnn = nn.GRU(12, 12, num_layers=2, batch_first=True)
        self.out = nn.Linear(12, 30, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x):
        return self.out(self.rnn(self.embed(x))[0])


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 4 * 3 * 3)
        self.norm = nn.BatchNorm1d(36, eps=1e-3, momentum=0.01)
        self.up = nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1)

    def forward(self, z):
        return self.up(torch.relu(self.norm(self.fc(z))).view(-1, 4, 3, 3))


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3)
        self.rnn = nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(10, 1)

    def forward(self, x):
        x = torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        return self.head(self.rnn(x)[0].mean(1))


def frozen():
    model = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3))
    model[0].requires_grad_(False)
    return model
