"""What the checks do in a worker: feed a program, and compare and hash what it gives and holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.task import Batch, draw
from benchmarks.worker import build
from benchmarks.worker.phases._protocol import Built

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A model as its worker holds it, and the job that it was built from."""

    built: Built
    job: dict[str, Any]

    def outputs(self, size: int, first: int = 0) -> dict[str, NDArray[Any]]:
        """Inference of so many samples, from the given one on, of one drawn batch; by name."""
        drawn = draw(self.built.task, first + size, int(self.built.device.asked.seed))
        return self._inferred(_cut(drawn, first, first + size))

    def predicted(self, samples: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Inference of the samples of a task of one input, a batch or fewer, by name.

        Fewer are repeated to a whole batch, so that nothing is compiled for another size.
        """
        built = self.built
        (name,) = built.task.inputs
        whole = np.resize(samples, (built.batch_size, *samples.shape[1:]))
        fed = Batch({name: whole.astype(built.fed.inputs[name].dtype)}, built.fed.targets)
        return {name: held[: len(samples)] for name, held in self._inferred(fed).items()}

    def _inferred(self, fed: Batch) -> dict[str, NDArray[Any]]:
        built = self.built
        placed = built.device.place(fed, built.task)
        built.program.set_training(training=False)
        found = built.program.outputs(built.program.infer(placed))
        return {name: np.array(held) for name, held in found.items()}

    def another(self, job: dict[str, Any] | None = None) -> Bench:
        """A model built beside it on the same device: of another job, or its own with new weights.

        New weights are drawn from the next seed.
        """
        # Weights from a file would be the same in both.
        told = job or {**self.job, "source": {**self.job["source"], "weights": None}}
        device = self.built.device
        if job is None:
            settings = replace(device.asked, seed=device.asked.seed + 1)
            # The device is set up already: only the seed of what is drawn differs.
            made = build.build(_Seeded(device, settings), told)
            return Bench(built=replace(made, device=device), job=told)
        return Bench(built=build.build(device, told), job=told)


class _Seeded:
    """A device whose settings name another seed."""

    def __init__(self, device: Any, asked: Any) -> None:
        self._device, self.asked = device, asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)


def _cut(batch: Batch, first: int, last: int) -> Batch:
    return Batch(
        {name: held[first:last] for name, held in batch.inputs.items()},
        {name: held[first:last] for name, held in batch.targets.items()},
    )


def difference(a: Arrays, b: Arrays) -> float:
    """The largest difference of two dicts of arrays, relative to the largest value in ``b``.

    Infinite where keys or shapes differ, or where one has a NaN that the other has not.
    """
    if a.keys() != b.keys() or any(a[name].shape != b[name].shape for name in b):
        return float("inf")
    worst = 0.0
    for name, right in b.items():
        left = a[name]
        if np.array_equal(left, right, equal_nan=True) or not right.size:
            continue
        scale = float(np.max(np.abs(right))) or 1.0
        error = float(np.max(np.abs(left.astype(np.float64) - right.astype(np.float64)))) / scale
        worst = max(worst, error if np.isfinite(error) else float("inf"))
    return worst


def hashes(arrays: Arrays) -> dict[str, str]:
    """The SHA-256 of each array's type, shape and bytes."""
    return {
        name: hashlib.sha256(
            f"{held.dtype} {held.shape}".encode() + np.ascontiguousarray(held).tobytes()
        ).hexdigest()
        for name, held in arrays.items()
    }


def changed(before: Arrays, after: Arrays) -> list[str]:
    """The names of the arrays that are not bit for bit what they were, or that came or went."""
    old, new = hashes(before), hashes(after)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def few(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 - a line holds three
    return ", ".join(names[:3]) + more
