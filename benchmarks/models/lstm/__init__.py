"""Sequence classification: embedding, LSTM 128, dense; sizes of the IMDB examples of Keras."""

from benchmarks.models._spec import LSTM, Dense, Embedding, Layer, ModelSpec, Size


def _layers(spec: ModelSpec) -> tuple[Layer, ...]:
    return (
        Embedding(name="embedding", vocabulary=spec.vocabulary or 0, units=128),
        LSTM(name="lstm", inputs=128, units=128, steps=spec.input_shape[0]),
        Dense(name="dense", inputs=128, units=spec.classes),
    )


SPEC = ModelSpec(
    title="LSTM classifier",
    reference="Hochreiter & Schmidhuber: Long short-term memory, 1997",
    kind="tokens",
    input_shape=(80,),
    classes=10,
    vocabulary=20_000,
    architecture=_layers,
    sizes={
        "quick": Size(batch=32, train_samples=256, test_samples=96),
        "standard": Size(batch=32),
    },
)
