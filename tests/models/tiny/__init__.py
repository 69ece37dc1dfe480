"""One dense layer, with a twin for the null adapter alone."""

from benchmarks.models._spec import Dense, Layer, ModelSpec, Size


def _layers(spec: ModelSpec) -> tuple[Layer, ...]:
    return (Dense(name="dense", inputs=spec.input_shape[0], units=spec.classes),)


SPEC = ModelSpec(
    title="Tiny",
    reference="none: it exists for tests",
    kind="features",
    input_shape=(16,),
    classes=10,
    architecture=_layers,
    sizes={"quick": Size(batch=4), "standard": Size(batch=8)},
)
