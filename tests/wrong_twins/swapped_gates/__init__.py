"""An LSTM that reads the cell gate where the forget gate stands, from equal weights."""

from benchmarks.models._spec import LSTM, Dense, Embedding, Layer, ModelSpec, Size


def _layers(spec: ModelSpec) -> tuple[Layer, ...]:
    return (
        Embedding(name="embedding", vocabulary=spec.vocabulary or 0, units=6),
        LSTM(name="lstm", inputs=6, units=4, steps=spec.input_shape[0]),
        Dense(name="dense", inputs=4, units=spec.classes),
    )


SPEC = ModelSpec(
    title="A small LSTM",
    reference="none: it exists for tests",
    kind="tokens",
    input_shape=(5,),
    classes=3,
    vocabulary=64,
    architecture=_layers,
    sizes={"quick": Size(batch=4), "standard": Size(batch=8)},
)
