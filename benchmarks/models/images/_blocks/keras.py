"""The convolution with batch normalisation in Keras, and the axis of the channels."""

from keras import KerasTensor, config, layers

from benchmarks.models.images._blocks import MOMENTUM


def channels() -> int:
    """The axis of the channels, which ``--policy best`` may change."""
    return -1 if config.image_data_format() == "channels_last" else 1


def norm(x: KerasTensor, *, name: str, epsilon: float = 1e-5) -> KerasTensor:
    """Batch normalisation with the constants that both twins use."""
    return layers.BatchNormalization(channels(), MOMENTUM, epsilon, name=name)(x)


def padded(x: KerasTensor, kernel: int, stride: int, *, name: str) -> tuple[KerasTensor, str]:
    """The map, and the ``padding`` of what comes next, that pad both sides alike.

    ``same`` would pad one side more than the other where the stride is two.
    """
    if kernel > 1 and stride > 1:
        return layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x), "valid"
    return x, "same"


def conv_norm(
    x: KerasTensor,
    filters: int,
    kernel: int | tuple[int, int] = 3,
    *,
    name: str,
    epsilon: float = 1e-5,
    stride: int = 1,
    valid: bool = False,
    activation: str = "relu",
) -> KerasTensor:
    """A convolution without bias, batch normalisation, and an activation; "" stands for none."""
    padding = "valid"
    if not valid:
        widest = kernel if isinstance(kernel, int) else max(kernel)
        x, padding = padded(x, widest, stride, name=name)
    x = layers.Conv2D(
        filters, kernel, strides=stride, padding=padding, use_bias=False, name=f"{name}-conv"
    )(x)
    return activated(norm(x, name=f"{name}-bn", epsilon=epsilon), activation, name=name)


def depthwise_norm(
    x: KerasTensor, kernel: int, *, name: str, stride: int = 1, activation: str = "relu"
) -> KerasTensor:
    """The same with a kernel for each channel alone."""
    x, padding = padded(x, kernel, stride, name=name)
    x = layers.DepthwiseConv2D(
        kernel, strides=stride, padding=padding, use_bias=False, name=f"{name}-conv"
    )(x)
    return activated(norm(x, name=f"{name}-bn"), activation, name=name)


def activated(x: KerasTensor, activation: str, *, name: str) -> KerasTensor:
    """The map with an activation of a layer of its own; "" stands for none."""
    if not activation:
        return x
    return layers.Activation(activation, name=f"{name}-activation")(x)
