"""DCGAN in PyTorch."""

from collections import OrderedDict

from torch import Tensor, nn

from benchmarks.models.generative.dcgan import EPSILON, MOMENTUM, SLOPE
from benchmarks.tasks.task import Task


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the constants that both twins use."""
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=1 - MOMENTUM)


def generator(latent: int, width: int, channels: int) -> nn.Sequential:
    """From (n, latent, 1, 1) to images (n, channels, 64, 64) between -1 and 1."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["grow1"] = nn.ConvTranspose2d(latent, 8 * width, 4, bias=False)
    inputs = 8 * width
    for at in (1, 2, 3):
        parts[f"bn{at}"] = norm(inputs)
        parts[f"relu{at}"] = nn.ReLU(inplace=True)
        parts[f"grow{at + 1}"] = nn.ConvTranspose2d(
            inputs, inputs // 2, 4, stride=2, padding=1, bias=False
        )
        inputs //= 2
    parts["bn4"] = norm(inputs)
    parts["relu4"] = nn.ReLU(inplace=True)
    parts["grow5"] = nn.ConvTranspose2d(inputs, channels, 4, stride=2, padding=1, bias=False)
    parts["tanh"] = nn.Tanh()
    return nn.Sequential(parts)


def discriminator(width: int, channels: int) -> nn.Sequential:
    """From images (n, channels, 64, 64) to logits (n, 1)."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["conv1"] = nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False)
    parts["leaky1"] = nn.LeakyReLU(SLOPE, inplace=True)
    for at in (2, 3, 4):
        parts[f"conv{at}"] = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False)
        width *= 2
        parts[f"bn{at}"] = norm(width)
        parts[f"leaky{at}"] = nn.LeakyReLU(SLOPE, inplace=True)
    parts["flatten"] = nn.Flatten()
    parts["dense"] = nn.Linear(width * 4 * 4, 1, bias=False)
    return nn.Sequential(parts)


class DCGAN(nn.Module):
    """Both networks; without real images the generator's alone are judged."""

    def __init__(self, latent: int, width: int, channels: int) -> None:
        super().__init__()
        self.generator = generator(latent, width, channels)
        self.discriminator = discriminator(width, channels)

    def forward(self, noise: Tensor, real: Tensor | None = None) -> dict[str, Tensor]:
        """Logits (n, 1) of images made of noise (n, 100) and of real ones (n, 3, 64, 64)."""
        made = self.generator(noise[:, :, None, None])
        judged = {"fake": self.discriminator(made)}
        return judged if real is None else {"real": self.discriminator(real), **judged}


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    latent, channels = task.inputs["noise"].shape[0], task.inputs["real"].shape[2]
    return DCGAN(latent, task.settings["width"], channels)
