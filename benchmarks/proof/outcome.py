"""What a proof is asked, and what it found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frameworks.description import Assigned, Description, Node
from benchmarks.proof import compare
from benchmarks.proof.match import Match
from benchmarks.results.records import Cause, Finding
from benchmarks.tasks.task import Batch, Task, batch_size, draw


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to prove.

    ``source`` is one of ``sources.of_model`` or ``of_files``, ``task`` its task at the shapes of
    the proof. ``equalize`` first sets constants that change no speed to the other side's.
    ``weights`` is a file of weights for one of the sides. ``policy`` is that of what is timed.
    """

    source: Mapping[str, Any]
    task: Task
    batch: int = 0
    seed: int = 0
    equalize: bool = False
    weights: Path | None = None
    policy: str = "matched"

    @property
    def size(self) -> int:
        """Samples in the proof's batch."""
        return self.batch or self.task.proof_batch or batch_size(self.task)

    @property
    def fed(self) -> Batch:
        """What every side is fed."""
        return draw(self.task, self.size, self.seed)

    def opening(self) -> dict[str, Any]:
        """What a side is told when it opens the model."""
        shaped = {"shapes": self.task.shapes, "settings": dict(self.task.settings)}
        return {"source": self.source, **shaped, "batch": self.size, "seed": self.seed}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was found: ``status`` is ``proven``, ``failed``, ``refused`` or ``partial``, and why.

    ``match`` is of the leader and the last side that was compared; ``assigned`` is each side's, by
    name, and ``told`` what each side told of its twin. ``equalized`` says, and ``changes`` holds by
    path, what was set at the leader.
    """

    status: str
    reason: str | None
    match: Match
    errors: dict[str, float]
    diagnosis: tuple[Cause, ...] = ()
    findings: tuple[Finding, ...] = ()
    equalized: tuple[str, ...] = ()
    changes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    told: Mapping[str, Description]
    assigned: Mapping[str, tuple[Assigned, ...]]
    sha256: str | None = None

    @property
    def parameters(self) -> dict[str, int]:
        """Parameters by side."""
        return {name: told.parameters for name, told in self.told.items()}

    def side_by_side(self) -> Iterator[str]:
        """Both lists of layers, where some found no counterpart; the first such is marked."""
        if self.match.complete:
            return
        left, right = (self.told[name].nodes for name in list(self.assigned)[-2:])
        theirs = {a.path: b for a, b in self.match.pairs}
        rows = [(_layer(a), _layer(theirs[a.path]) if a.path in theirs else "-") for a in left]
        paired = {b.path for b in theirs.values()}
        rows += [("-", _layer(b)) for b in right if b.path not in paired]
        width = max(len(a) for a, _ in rows)
        marked = False
        for a, b in rows:
            fits = "-" not in (a, b)
            mark = " " if fits or marked else ">"
            marked = marked or not fits
            yield f"{mark} {a:<{width}}  {b}"

    def document(self) -> dict[str, Any]:
        """As ``pair --json`` prints it."""
        first, *others = self.parameters.values()
        return {
            "match": {
                "how": self.match.how,
                "pairs": [
                    {"torch": a.path, "keras": b.path, "kind": a.kind} for a, b in self.match.pairs
                ],
                "weights": [{"torch": a, "keras": b} for a, b in self.match.loose],
                "unmatched": {
                    "torch": list(self.match.unmatched_torch),
                    "keras": list(self.match.unmatched_keras),
                },
            },
            "parity": {
                "status": self.status,
                "reason": self.reason,
                "tolerance": compare.TOLERANCE,
                "max_rel_error": {k: e if np.isfinite(e) else None for k, e in self.errors.items()},
                "parameters": {"torch": first, "keras": (others or [first])[0]},
                "findings": [asdict(found) for found in self.findings],
                "equalized": list(self.equalized),
            },
            "diagnosis": [asdict(cause) for cause in self.diagnosis],
            "run": None,
        }


def _layer(node: Node) -> str:
    shapes = ", ".join("x".join(map(str, w.shape)) for w in node.weights.values())
    return f"{node.path} ({node.cls} {shapes})"
