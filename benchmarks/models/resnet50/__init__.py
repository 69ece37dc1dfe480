"""ResNet-50 v1.5, trained end to end: 25,557,032 parameters, 4.09 GMAC at 224x224."""

from benchmarks.models._resnet import body
from benchmarks.models._spec import Dense, Layer, ModelSpec, Size


def _layers(spec: ModelSpec) -> tuple[Layer, ...]:
    return (*body(spec.input_shape), Dense(name="dense", inputs=2048, units=spec.classes))


SPEC = ModelSpec(
    title="ResNet-50 v1.5",
    reference="He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2015",
    kind="image",
    input_shape=(224, 224, 3),
    classes=1000,
    architecture=_layers,
    sizes={
        "quick": Size(batch=4, input_shape=(64, 64, 3), train_samples=32, test_samples=16),
        "standard": Size(batch=32, train_samples=512, test_samples=128),
    },
    proof_batch=4,
    heavy=True,
)
