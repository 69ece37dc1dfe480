"""The network of a denoising diffusion model in PyTorch."""

import torch
from torch import Tensor, nn

from benchmarks.models.generative.ddpm_unet import (
    ATTENDS,
    BLOCKS,
    DROPOUT,
    EPSILON,
    MULTIPLES,
    schedule,
    waves,
)
from benchmarks.tasks.task import Task


class Residual(nn.Module):
    """Two 3x3 convolutions, each behind a normalisation, with the time added between them."""

    def __init__(self, inputs: int, filters: int, groups: int, time: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs, eps=EPSILON)
        self.conv1 = nn.Conv2d(inputs, filters, 3, padding=1)
        self.time = nn.Linear(time, filters)
        self.norm2 = nn.GroupNorm(groups, filters, eps=EPSILON)
        self.drop = nn.Dropout(DROPOUT)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1)
        self.shortcut = nn.Identity() if inputs == filters else nn.Conv2d(inputs, filters, 1)
        self.silu = nn.SiLU()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:  # (n, inputs, h, w), (n, 512)
        y = self.conv1(self.silu(self.norm1(x)))
        y = y + self.time(self.silu(time))[:, :, None, None]
        y = self.conv2(self.drop(self.silu(self.norm2(y))))
        return self.shortcut(x) + y  # (n, filters, h, w)


class Attention(nn.Module):
    """Attention of each pixel to all of its map, with one head."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=EPSILON)
        self.heads = nn.MultiheadAttention(channels, 1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:  # (n, channels, h, w)
        y = self.norm(x).flatten(2).transpose(1, 2)  # (n, h * w, channels)
        y, _ = self.heads(y, y, y, need_weights=False)
        return x + y.transpose(1, 2).reshape(x.shape)


class Level(nn.Module):
    """A block, with attention behind it where the level has it."""

    def __init__(self, inputs: int, filters: int, groups: int, time: int, *, attends: bool) -> None:
        super().__init__()
        self.block = Residual(inputs, filters, groups, time)
        self.attention = Attention(filters, groups) if attends else None

    def forward(self, x: Tensor, time: Tensor) -> Tensor:  # (n, inputs, h, w), (n, 512)
        x = self.block(x, time)
        return x if self.attention is None else self.attention(x)


class Shrink(nn.Module):
    """A strided convolution, padded at the end alone, as TensorFlow's ``same`` is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:  # (n, channels, h, w); the time is unused
        del time
        return self.conv(nn.functional.pad(x, (0, 1, 0, 1)))  # (n, channels, h/2, w/2)


class Grow(nn.Module):
    """Each pixel four times, and a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:  # (n, channels, h, w)
        return self.conv(nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"))


class DDPM(nn.Module):
    """Noises images, and tells the noise from them: a U-Net of residual blocks."""

    image_share: Tensor
    noise_share: Tensor
    waves: Tensor

    def __init__(self, channels: int, width: int, groups: int) -> None:
        super().__init__()
        shares, time = schedule(), 4 * width
        self.register_buffer("image_share", torch.from_numpy(shares[0]), persistent=False)
        self.register_buffer("noise_share", torch.from_numpy(shares[1]), persistent=False)
        self.register_buffer("waves", torch.from_numpy(waves(width)), persistent=False)
        self.time1, self.time2 = nn.Linear(width, time), nn.Linear(time, time)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        kept, inputs = [width], width
        for at, multiple in enumerate(MULTIPLES):
            filters, attends = multiple * width, at == ATTENDS
            for _ in range(BLOCKS):
                self.down.append(Level(inputs, filters, groups, time, attends=attends))
                kept.append(inputs := filters)
            if at + 1 < len(MULTIPLES):
                self.down.append(Shrink(inputs))
                kept.append(inputs)
        self.middle1 = Level(inputs, inputs, groups, time, attends=True)
        self.middle2 = Level(inputs, inputs, groups, time, attends=False)
        for at, multiple in reversed(list(enumerate(MULTIPLES))):
            filters, attends = multiple * width, at == ATTENDS
            for _ in range(BLOCKS + 1):
                self.up.append(Level(inputs + kept.pop(), filters, groups, time, attends=attends))
                inputs = filters
            if at:
                self.up.append(Grow(inputs))
        self.norm = nn.GroupNorm(groups, inputs, eps=EPSILON)
        self.silu = nn.SiLU()
        self.last = nn.Conv2d(inputs, channels, 3, padding=1)

    def forward(self, image: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """The noise (n, 3, 32, 32) told from images and noise of that shape, at times (n, 1)."""
        at = time[:, 0]
        kept, added = (s[at][:, None, None, None] for s in (self.image_share, self.noise_share))
        x = image * kept + noise * added
        when = self.time2(self.silu(self.time1(self.waves[at])))  # (n, 512)
        x = self.first(x)
        passed = [x]
        for part in self.down:
            x = part(x, when)
            passed.append(x)
        x = self.middle2(self.middle1(x, when), when)  # (n, 256, 4, 4)
        for part in self.up:
            x = part(x) if isinstance(part, Grow) else part(torch.cat([x, passed.pop()], 1), when)
        return self.last(self.silu(self.norm(x)))


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return DDPM(task.inputs["image"].shape[2], **task.settings)
