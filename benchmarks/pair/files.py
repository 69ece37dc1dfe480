"""Proves a pair of files one function, each side in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import frameworks
from benchmarks.proof import sides as workers
from benchmarks.proof.outcome import Asked, Proof
from benchmarks.proof.prove import proven
from benchmarks.proof.sides import Sides
from benchmarks.results.records import Stack
from benchmarks.tasks import stored
from benchmarks.worker import sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What to prove: both files, the task's words, and where a relative module is looked for."""

    torch: str
    keras: str
    task: Mapping[str, Any]
    engine: str = "tensorflow"
    batch: int = 0
    seed: int = 0
    folder: Path = field(default_factory=Path.cwd)
    timeout_s: float = 600.0
    equalize: bool = False
    weights: Path | None = None
    env: tuple[str, ...] = ()

    def asked(self) -> Asked:
        """The same for the proof.

        Raises:
            TaskError: the task's words are wrong.
        """
        source = sources.of_files(self.torch, self.keras, self.task, self.folder)
        return Asked(
            source=source,
            task=sources.task_of(source),
            batch=self.batch,
            seed=self.seed,
            equalize=self.equalize,
            weights=self.weights,
        )


@contextmanager
def sides(engine: str, timeout_s: float, passed: Sequence[str] = ()) -> Iterator[Sides]:
    """PyTorch beside a framework that runs Keras, for as long as it lasts."""
    names = ("torch", engine)
    stacks = {name: Stack(name, frameworks.facts(name).proof_mode) for name in names}
    with workers.sides(stacks, timeout_s, passed=passed) as both:
        yield both


def prove(pair: Pair, keep: Path | None = None) -> Proof:
    """Prove two files one function, or say why they are not.

    Weights of a file are kept at ``keep``, by canonical key.

    Raises:
        UsageError: a file or the task is wrong; one line says what.
        WorkerError: a side crashed or took too long.
    """
    with sides(pair.engine, pair.timeout_s, pair.env) as both:
        proof = proven(pair.asked(), both)
        canonical = both.folder / stored.CANONICAL
        if keep and canonical.is_file():
            keep.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(canonical, keep)
        return proof
