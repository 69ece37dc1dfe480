"""Keras' own ``fit`` and ``evaluate``."""

from __future__ import annotations

from typing import Any

from benchmarks.frameworks.contracts import Epoch, Samples


def fit(device: Any, program: Any, samples: Samples) -> Epoch:
    """As ``contracts.Trainer`` says."""
    learning, keeping = (
        device.feed(device.images(x), y, size=samples.size, scale=samples.scale)
        for x, y in (samples.train, samples.test)
    )
    network = program.to_fit()

    def run() -> tuple[float, float, float, float]:
        history = network.fit(learning, epochs=1, shuffle=False, verbose=0).history
        loss, accuracy = network.evaluate(keeping, verbose=0)
        return history["loss"][0], history["accuracy"][0], loss, accuracy

    return Epoch(run=run)
