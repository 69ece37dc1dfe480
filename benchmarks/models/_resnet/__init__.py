"""ResNet-50 v1.5 without its head, shared by the models that train it and that freeze it.

He et al.: Deep residual learning for image recognition, 2015, table 1; v1.5 puts the stride of a
stage's first block into the 3x3 convolution instead of the first 1x1.
"""

from benchmarks.models._spec import BatchNorm, Conv2D, Layer

STAGES = ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))  # blocks, width, stride
EXPANSION = 4
MOMENTUM = 0.9  # of the running statistics, in Keras' sense; PyTorch's is 1 - 0.9
EPSILON = 1e-5
# Where the last normalisation of a block starts. At 1 the activations of a frozen body would double
# in variance with each block; Goyal et al. 2017 start at 0, which would hide every block behind it.
LAST_SCALE = 0.25


def body(input_shape: tuple[int, ...], *, trainable: bool = True) -> tuple[Layer, ...]:
    """The layers from the image to the last map, in forward order.

    ``input_shape`` is height, width, channels.
    """
    height, width, inputs = input_shape
    layers: list[Layer] = []

    def conv(name: str, filters: int, kernel: int, out: tuple[int, int], source: int) -> None:
        layers.append(
            Conv2D(
                name=name,
                inputs=source,
                filters=filters,
                kernel=kernel,
                out=out,
                bias=False,
                trainable=trainable,
            )
        )
        norm = name.replace("conv", "bn")
        scale = LAST_SCALE if name.endswith("conv3") else 1.0
        layers.append(
            BatchNorm(name=norm, channels=filters, out=out, scale=scale, trainable=trainable)
        )

    out = (_halved(height), _halved(width))
    conv("conv1", 64, 7, out, inputs)
    out = (_halved(out[0]), _halved(out[1]))  # max-pooling
    inputs = 64
    for stage, (blocks, filters, first_stride) in enumerate(STAGES, start=1):
        for block in range(blocks):
            name, before = f"layer{stage}.{block}", out
            if block == 0 and first_stride == 2:  # noqa: PLR2004 - a stride of two halves the map
                out = (_halved(out[0]), _halved(out[1]))
            conv(f"{name}.conv1", filters, 1, before, inputs)
            conv(f"{name}.conv2", filters, 3, out, filters)
            conv(f"{name}.conv3", EXPANSION * filters, 1, out, filters)
            if block == 0:
                conv(f"{name}.shortcut_conv", EXPANSION * filters, 1, out, inputs)
            inputs = EXPANSION * filters
    return tuple(layers)


def _halved(length: int) -> int:
    """Output length of stride two with the symmetric padding that all of ResNet uses."""
    return (length - 1) // 2 + 1
