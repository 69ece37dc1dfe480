"""Keras' own ``fit`` and ``evaluate``."""

from __future__ import annotations

from typing import Any

from benchmarks.frameworks.contracts import Array, Epoch


def fit(
    device: Any,
    program: Any,
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    *,
    size: int,
    scale: float,
) -> Epoch:
    """As ``contracts.Trainer`` says."""
    learning, keeping = (
        device.feed(device.images(x), y, size=size, scale=scale) for x, y in (train, test)
    )
    network = program.to_fit()

    def run() -> tuple[float, float, float, float]:
        history = network.fit(learning, epochs=1, shuffle=False, verbose=0).history
        loss, accuracy = network.evaluate(keeping, verbose=0)
        return history["loss"][0], history["accuracy"][0], loss, accuracy

    return Epoch(run=run)
