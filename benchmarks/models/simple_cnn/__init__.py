"""The small convolutional network with which people introduce both frameworks."""

from benchmarks.models._spec import Conv2D, Dense, Layer, ModelSpec, Size


def _layers(spec: ModelSpec) -> tuple[Layer, ...]:
    height, width, channels = spec.input_shape
    h1, w1 = height - 2, width - 2  # 3x3, no padding
    h2, w2 = h1 // 2 - 2, w1 // 2 - 2
    grid = (h2 // 2, w2 // 2, 16)
    return (
        Conv2D(name="conv1", inputs=channels, filters=32, kernel=3, out=(h1, w1)),
        Conv2D(name="conv2", inputs=32, filters=16, kernel=3, out=(h2, w2)),
        Dense(name="dense", inputs=grid[0] * grid[1] * grid[2], units=spec.classes, grid=grid),
    )


SPEC = ModelSpec(
    title="Simple CNN",
    reference="the introductory example of both frameworks",
    kind="image",
    input_shape=(32, 32, 3),
    classes=10,
    architecture=_layers,
    sizes={"quick": Size(batch=32), "standard": Size(batch=64)},
)
