"""A worker of the proof that leaves the epsilon of PyTorch's Adam where PyTorch has it."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.proof.worker import ProofWorker
from benchmarks.worker import protocol


class Unmatched(ProofWorker):
    """The worker, its PyTorch set up as a user's would be."""

    def open(self, *, framework: str, **told: Any) -> dict[str, Any]:
        """Build the twin where nothing prepares a step of its optimizer."""
        if framework == "torch":
            from benchmarks.frameworks.torch.optimizers import Stepper

            Stepper._prepare = lambda *_: None  # type: ignore[method-assign]
        return super().open(framework=framework, **told)


if __name__ == "__main__":
    protocol.work(Unmatched(), *map(int, sys.argv[1:3]))
