"""A multilayer perceptron, 784-512-256-10: the smallest model in which matrix products rule."""

from benchmarks.models._spec import Dense, Layer, ModelSpec, Size


def _layers(spec: ModelSpec) -> tuple[Layer, ...]:
    return (
        Dense(name="dense1", inputs=spec.input_shape[0], units=512),
        Dense(name="dense2", inputs=512, units=256),
        Dense(name="dense3", inputs=256, units=spec.classes),
    )


SPEC = ModelSpec(
    title="MLP 784-512-256-10",
    reference="Rumelhart et al.: Learning representations by back-propagating errors, 1986",
    kind="features",
    input_shape=(784,),
    classes=10,
    architecture=_layers,
    sizes={"quick": Size(batch=64), "standard": Size(batch=128)},
)
