"""Transfer learning: a frozen ResNet-50 as feature extractor under a new two-layer head."""

from benchmarks.models._resnet import body
from benchmarks.models._spec import Dense, Layer, ModelSpec, Optimizer, Size


def _layers(spec: ModelSpec) -> tuple[Layer, ...]:
    return (
        *body(spec.input_shape, trainable=False),
        Dense(name="head1", inputs=2048, units=256),
        Dense(name="head2", inputs=256, units=spec.classes),
    )


SPEC = ModelSpec(
    title="ResNet-50 transfer learning",
    reference="Yosinski et al.: How transferable are features in deep neural networks?, 2014",
    kind="image",
    input_shape=(224, 224, 3),
    classes=10,
    architecture=_layers,
    sizes={
        "quick": Size(batch=8, input_shape=(64, 64, 3), train_samples=64, test_samples=32),
        "standard": Size(batch=32, train_samples=1024, test_samples=256),
    },
    optimizer=Optimizer(learning_rate=0.001),  # at 0.01 the head diverges on these features
    proof_batch=4,
    heavy=True,
)
