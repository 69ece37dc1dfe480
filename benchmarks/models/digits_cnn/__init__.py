"""The digit recogniser of PyTorch's first tutorials: two 5x5 convolutions, pooling and dropout."""

from benchmarks.models._spec import Conv2D, Dense, Layer, ModelSpec, Size


def _layers(spec: ModelSpec) -> tuple[Layer, ...]:
    height, width, channels = spec.input_shape
    h1, w1 = height - 4, width - 4  # 5x5, no padding
    h2, w2 = h1 // 2 - 4, w1 // 2 - 4
    grid = (h2 // 2, w2 // 2, 20)
    return (
        Conv2D(name="conv1", inputs=channels, filters=10, kernel=5, out=(h1, w1)),
        Conv2D(name="conv2", inputs=10, filters=20, kernel=5, out=(h2, w2)),
        Dense(name="dense1", inputs=grid[0] * grid[1] * grid[2], units=50, grid=grid),
        Dense(name="dense2", inputs=50, units=spec.classes),
    )


SPEC = ModelSpec(
    title="Digits CNN",
    reference="after LeCun et al.: Gradient-based learning for document recognition, 1998",
    kind="image",
    input_shape=(28, 28, 1),
    classes=10,
    architecture=_layers,
    sizes={"quick": Size(batch=64), "standard": Size(batch=64)},
    dropout=True,
)
