"""The plain loop, as PyTorch's tutorials write it."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.frameworks.contracts import Epoch, Samples


def fit(device: Any, program: Any, samples: Samples) -> Epoch:
    """As ``contracts.Trainer`` says."""
    size, scale = samples.size, samples.scale
    learning = device.batches(*samples.train, size=size, scale=scale)
    keeping = device.batches(*samples.test, size=size, scale=scale)

    def run() -> tuple[float, float, float, float]:
        totals = torch.zeros(2, device=device.asked.device)
        program.set_training(training=True)
        for batch in learning:
            program.stepper.zero_grad()
            outputs = program.forward(batch)
            loss = program.loss_of(outputs, batch)
            program.backward(loss)
            program.update()
            totals += _score(outputs.detach(), batch.targets[0], loss.detach())
        learned = (totals / len(samples.train[1])).tolist()
        totals = torch.zeros(2, device=device.asked.device)
        program.set_training(training=False)
        with program.inference():
            for batch in keeping:
                outputs = program.forward(batch)
                totals += _score(outputs, batch.targets[0], program.loss_of(outputs, batch))
        kept = (totals / len(samples.test[1])).tolist()
        return learned[0], learned[1], kept[0], kept[1]

    return Epoch(run=run)


def _score(logits: Any, labels: Any, loss: Any) -> Any:
    correct = (logits.argmax(1) == labels).sum()
    return torch.stack([loss * len(labels), correct.to(loss.dtype)])
