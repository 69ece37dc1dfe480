"""The net that most wrong twins get wrong, small enough to prove in a second."""

from benchmarks.models._spec import BatchNorm, Conv2D, Dense, Layer, ModelSpec, Size

EPSILON = 1e-5
MOMENTUM = 0.9  # in Keras' sense


def _layers(spec: ModelSpec) -> tuple[Layer, ...]:
    return (
        Conv2D(name="conv", inputs=3, filters=8, kernel=3, out=(4, 4)),
        BatchNorm(name="bn", channels=8, out=(4, 4)),
        Dense(name="dense", inputs=128, units=spec.classes, grid=(4, 4, 8)),
    )


SPEC = ModelSpec(
    title="A strided convolution, normalisation, GELU, a dense layer",
    reference="none: it exists for tests",
    kind="image",
    input_shape=(8, 8, 3),
    classes=10,
    architecture=_layers,
    sizes={"quick": Size(batch=4), "standard": Size(batch=8)},
)
