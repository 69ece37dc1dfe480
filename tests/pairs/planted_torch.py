import torch
from torch import nn
from torch.nn import functional as F


def norm():
    return nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8, eps=1e-3), nn.ReLU(), nn.Linear(8, 3))


def norm_frozen():
    model = norm()
    model[1].requires_grad_(False)
    return model


class NormKept(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = norm_frozen()

    def train(self, mode=True):
        super().train(mode)
        self.body[1].eval()
        return self

    def forward(self, x):
        return self.body(x)


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3)
        self.conv = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


class Pooled(Conv):
    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.stem(x)), 2)
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


class Pool(nn.Module):
    def __init__(self, counted=False):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=counted)
        self.head = nn.Linear(6 * 64, 3)

    def forward(self, x):
        return self.head(self.pool(torch.relu(self.conv(x))).flatten(1))


def pool_counted():
    return Pool(counted=True)


class Recurrent(nn.Module):
    def __init__(self, cell=nn.LSTM, layers=1, batch_first=True, **more):
        super().__init__()
        self.rnn = cell(6, 5, num_layers=layers, batch_first=batch_first, **more)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class Swapped(nn.LSTM):
    def forward(self, x):
        hidden = cell = x.new_zeros(len(x), self.hidden_size)
        states = []
        for step in x.unbind(1):
            gates = F.linear(step, self.weight_ih_l0, self.bias_ih_l0)
            gates = gates + F.linear(hidden, self.weight_hh_l0, self.bias_hh_l0)
            enter, new, keep, show = gates.chunk(4, 1)
            cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
            hidden = show.sigmoid() * cell.tanh()
            states.append(hidden)
        return torch.stack(states, 1), (hidden[None], cell[None])


class SwappedGRU(nn.GRU):
    first, one_bias = "update", False

    def forward(self, x):
        hidden = x.new_zeros(len(x), self.hidden_size)
        states = []
        for step in x.unbind(1):
            a, b, n = F.linear(step, self.weight_ih_l0, self.bias_ih_l0).chunk(3, 1)
            bias = None if self.one_bias else self.bias_hh_l0
            c, d, m = F.linear(hidden, self.weight_hh_l0, bias).chunk(3, 1)
            reset, update = ((b + d), (a + c)) if self.first == "update" else ((a + c), (b + d))
            new = torch.tanh(n + reset.sigmoid() * m)
            update = update.sigmoid()
            hidden = (1 - update) * new + update * hidden
            states.append(hidden)
        return torch.stack(states, 1), hidden[None]


class OneBiasGRU(SwappedGRU):
    first, one_bias = "reset", True


def lstm():
    return Recurrent()


def lstm_swapped():
    return Recurrent(Swapped)


def lstm_time_first():
    return Recurrent(batch_first=False)


def gru():
    return Recurrent(nn.GRU)


def gru_swapped():
    return Recurrent(SwappedGRU)


def gru_one_bias():
    return Recurrent(OneBiasGRU)


def stacked():
    return Recurrent(layers=2)


class Attending(nn.Module):
    def __init__(self, causal=False):
        super().__init__()
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)
        self.causal = causal

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1]) if self.causal else None
        return self.head(self.attend(x, x, x, attn_mask=mask, need_weights=False)[0].mean(1))


def causal():
    return Attending(causal=True)


class Masked(nn.Module):
    def __init__(self, turned=False):
        super().__init__()
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)
        self.turned = turned

    def forward(self, x, mask):
        hidden = mask if self.turned else ~mask  # True: this key does not count
        x, _ = self.attend(x, x, x, key_padding_mask=hidden, need_weights=False)
        return self.head(x[:, 0])


def masked_turned():
    return Masked(turned=True)


def softmax():
    return nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(-1))


class Flat(nn.Module):
    def __init__(self, turned=False):
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.head = nn.Linear(35, 3)
        self.turned = turned

    def forward(self, x):
        x = torch.relu(self.first(x))
        return self.head((x.transpose(1, 2) if self.turned else x).flatten(1))


def flat_turned():
    return Flat(turned=True)


class Upsampled(nn.Module):
    def __init__(self, corners=False):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Conv2d(4, 2, 1)
        self.corners = corners

    def forward(self, x):
        x = torch.relu(self.conv(x))
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=self.corners)
        return torch.tanh(self.head(x)).mean((2, 3))


def corners():
    return Upsampled(corners=True)


class Transposed(nn.Module):
    def __init__(self, crop=1, more=0):
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 3, stride=2, padding=crop, output_padding=more)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.relu(self.up(x)).mean((2, 3)))


def transposed():
    class Cropped(Transposed):
        def forward(self, x):
            return self.head(torch.relu(self.up(x)[:, :, :-1, :-1]).mean((2, 3)))

    return Cropped(crop=0)


def transposed_same():
    return Transposed(crop=1, more=1)


def mlp():
    return nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3))


def deeper():
    return nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def frozen():
    model = mlp()
    model[0].requires_grad_(False)
    return model


class Nested(nn.Module):
    def __init__(self, epsilon=1e-3):
        super().__init__()
        self.rnn = nn.LSTM(6, 5, num_layers=2, batch_first=True)
        self.tail = nn.Sequential(nn.Linear(5, 5), nn.LayerNorm(5, eps=epsilon), nn.Linear(5, 3))

    def forward(self, x):
        return self.tail(self.rnn(x)[0][:, -1])


def nested_epsilon():
    return Nested(epsilon=1e-5)
