"""The child of an audit: a worker as of a run, which also answers the checks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audit import checks
from benchmarks.audit.child import Bench
from benchmarks.worker import protocol
from benchmarks.worker.commands import Worker


class AuditWorker(Worker):
    """Remembers the job that its model was built from."""

    job: dict[str, Any]

    def start(self, *, spawned: float, job: dict[str, Any]) -> dict[str, Any]:
        """Import and build, as in a run."""
        self.job = job
        return super().start(spawned=spawned, job=job)

    def rebuild(self, *, job: dict[str, Any]) -> dict[str, Any]:
        """As in a run, and remembered."""
        self.job = job
        return super().rebuild(job=job)

    def audit(self, *, check: str, **told: Any) -> dict[str, Any]:
        """What the child's part of a check finds."""
        bench = Bench(built=self._built(), job=self.job)
        found: dict[str, Any] = checks.load(check).inside(bench, **told)
        return {"found": found}

    def outputs(self, *, size: int, path: str) -> dict[str, Any]:
        """Write the outputs of so many samples to ``path`` (npz)."""
        bench = Bench(built=self._built(), job=self.job)
        np.savez(Path(path), allow_pickle=False, **bench.outputs(size))
        return {}


if __name__ == "__main__":
    protocol.work(AuditWorker(), *map(int, sys.argv[1:3]))
