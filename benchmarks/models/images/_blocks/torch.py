"""The convolution with batch normalisation in PyTorch."""

from collections.abc import Callable

from torch import Tensor, nn

from benchmarks.models.images._blocks import MOMENTUM


class ConvNorm(nn.Module):
    """A convolution without bias, batch normalisation, and an activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int] = 3,
        *,
        epsilon: float = 1e-5,
        stride: int = 1,
        valid: bool = False,
        groups: int = 1,
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (0, 0) if valid else (rows // 2, columns // 2)
        self.conv = nn.Conv2d(
            inputs, outputs, (rows, columns), stride, padding, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(outputs, eps=epsilon, momentum=1 - MOMENTUM)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:  # (n, inputs, h, w)
        return self.activation(self.bn(self.conv(x)))  # (n, outputs, h/stride, w/stride)
