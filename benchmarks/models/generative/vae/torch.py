"""The variational autoencoder in PyTorch."""

from collections.abc import Mapping

from torch import Tensor, nn

from benchmarks.models.generative.vae import CODE, WIDTH
from benchmarks.tasks.task import Task


class VAE(nn.Module):
    """A dense layer to the mean and the log-variance of a code, and two back from a draw of it."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.dense1 = nn.Linear(features, WIDTH)
        self.mean = nn.Linear(WIDTH, CODE)
        self.log_variance = nn.Linear(WIDTH, CODE)
        self.dense2 = nn.Linear(CODE, WIDTH)
        self.dense3 = nn.Linear(WIDTH, features)

    def forward(self, features: Tensor, noise: Tensor) -> dict[str, Tensor]:  # (n, 784), (n, 20)
        x = self.dense1(features).relu()  # (n, 400)
        mean, log_variance = self.mean(x), self.log_variance(x)  # (n, 20) each
        code = mean + noise * (0.5 * log_variance).exp()
        logits = self.dense3(self.dense2(code).relu())  # (n, 784)
        return {"logits": logits, "mean": mean, "log_variance": log_variance}


def build(task: Task) -> nn.Module:
    """The model, its weights not yet set."""
    return VAE(task.inputs["features"].shape[0])


def loss(outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cross-entropy of the pixels, and the divergence of the code from a standard normal one.

    Both are given for a pixel: means over samples and pixels, of which the divergence has one sum.
    """
    logits, same = outputs["logits"], targets["same"]
    mean, log_variance = outputs["mean"], outputs["log_variance"]
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
    return {
        "reconstruction": nn.functional.binary_cross_entropy_with_logits(logits, same),
        "divergence": divergence / same.numel(),
    }
