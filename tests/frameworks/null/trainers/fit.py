"""Ten delays for an epoch, whatever its steps."""

from __future__ import annotations

from typing import Any

from benchmarks.frameworks.contracts import Epoch, Samples


def fit(device: Any, program: Any, samples: Samples) -> Epoch:
    """As ``contracts.Trainer`` says."""

    def run() -> tuple[float, float, float, float]:
        device.work("epoch", 10)
        loss = program.learn(len(samples.train[1]) // samples.size)
        return loss, 0.1, loss, 0.1

    return Epoch(run=run)
