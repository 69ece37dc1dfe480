"""The body of ResNet-50 v1.5 in Keras."""

from keras import KerasTensor, config, layers

from benchmarks.models._resnet import EPSILON, EXPANSION, MOMENTUM, STAGES


def conv(x: KerasTensor, filters: int, kernel: int, *, name: str, stride: int = 1) -> KerasTensor:
    """A convolution without bias, padded alike on both sides.

    ``padding="same"`` would pad one side more than the other where the stride is two.
    """
    if kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    return layers.Conv2D(filters, kernel, strides=stride, use_bias=False, name=name)(x)


def norm(x: KerasTensor, *, name: str) -> KerasTensor:
    """Batch normalisation with the constants that both twins use."""
    axis = -1 if config.image_data_format() == "channels_last" else 1
    return layers.BatchNormalization(axis, MOMENTUM, EPSILON, name=name)(x)


def bottleneck(
    x: KerasTensor, filters: int, stride: int, *, project: bool, name: str
) -> KerasTensor:
    """1x1, 3x3 (with the stride), 1x1, added to a shortcut: (n, h, w, c) in, 4 filters out."""
    shortcut = x
    if project:
        outputs = EXPANSION * filters
        shortcut = conv(x, outputs, 1, stride=stride, name=f"{name}-shortcut_conv")
        shortcut = norm(shortcut, name=f"{name}-shortcut_bn")
    x = norm(conv(x, filters, 1, name=f"{name}-conv1"), name=f"{name}-bn1")
    x = layers.ReLU(name=f"{name}-relu1")(x)  # (n, h, w, filters)
    x = norm(conv(x, filters, 3, stride=stride, name=f"{name}-conv2"), name=f"{name}-bn2")
    x = layers.ReLU(name=f"{name}-relu2")(x)  # (n, h/stride, w/stride, filters)
    x = norm(conv(x, EXPANSION * filters, 1, name=f"{name}-conv3"), name=f"{name}-bn3")
    x = layers.Add(name=f"{name}-add")([x, shortcut])  # (n, h/stride, w/stride, 4 filters)
    return layers.ReLU(name=f"{name}-relu3")(x)


def body(inputs: KerasTensor) -> KerasTensor:
    """From the image (n, h, w, channels) to the last map (n, h/32, w/32, 2048)."""
    return stages(inputs)[-1]


def stages(inputs: KerasTensor, width: int = 64) -> list[KerasTensor]:
    """The maps of the four stages, the first (n, h/4, w/4, 256)."""
    # A dash stands for the dot of PyTorch's paths: Keras on PyTorch takes none.
    x = norm(conv(inputs, width, 7, stride=2, name="conv1"), name="bn1")  # (n, h/2, w/2, 64)
    x = layers.ReLU(name="relu1")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)  # zeros do no harm after a ReLU
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)  # (n, h/4, w/4, 64)
    found = []
    for stage, (blocks, multiple, first_stride) in enumerate(STAGES, start=1):
        for block in range(blocks):
            stride, name = (first_stride if block == 0 else 1), f"layer{stage}-{block}"
            x = bottleneck(x, multiple * width, stride, project=block == 0, name=name)
        found.append(x)
    return found
